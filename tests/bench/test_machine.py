"""QEMU's command line of a machine, and the line to its server."""

import json
import socket
import tempfile
import threading
from pathlib import Path

import pytest
from vm.archive import Kernel
from vm.channel import Channel
from vm.machine import Disk, Machine, Throttle


def drives(machine, tmp_path):
    """Return the options of each disk, by its name."""
    words = machine.command(tmp_path)
    told = [words[i + 1].split(",") for i, word in enumerate(words) if word == "-drive"]
    options = [dict(option.split("=") for option in each) for each in told]
    return {each["id"]: each for each in options}


def test_a_throttled_disk_is_throttled_and_no_other(tmp_path):
    slow = Disk("slow", tmp_path / "slow.img", Throttle(requests_per_s=500, bytes_per_s=60_000_000))
    machine = Machine(
        kernel=Kernel(tmp_path), root=tmp_path, disks=[Disk("fast", tmp_path / "fast.img"), slow]
    )
    told = drives(machine, tmp_path)
    throttled = {name: value for name, value in told["slow"].items() if "throttling" in name}
    assert throttled == {"throttling.iops-total": "500", "throttling.bps-total": "60000000"}
    assert set(told) == {"root", "modules", "fast", "slow"}
    for name in set(told) - {"slow"}:
        assert not [option for option in told[name] if "throttling" in option]


@pytest.mark.parametrize(
    ("accelerator", "accel", "cpu", "counts"),
    [
        ("tcg", "tcg,tb-size=128,thread=multi", "max", False),
        ("icount", "tcg,tb-size=128,thread=single", "max,-erms,-fsrm", True),
        ("kvm", "kvm", "max", False),
    ],
)
def test_the_clock_counts_instructions_where_it_is_asked_to(
    tmp_path, accelerator, accel, cpu, counts
):
    machine = Machine(kernel=Kernel(tmp_path), root=tmp_path, accelerator=accelerator)
    words = machine.command(tmp_path)
    assert words[words.index("-accel") + 1] == accel
    assert words[words.index("-cpu") + 1] == cpu
    assert ("shift=0,sleep=off" in words) == counts


def answer(listener, asked):
    """Be the machine's end of the line: keep what it is asked, and answer."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rw") as file:
        for line in file:
            asked.append(json.loads(line))
            file.write(json.dumps({"id": asked[-1]["id"], "rc": 0}) + "\n")
            file.flush()


def test_a_machine_whose_clock_runs_ahead_gets_longer_time_outs_as_far_as_it_can_wait():
    asked = []
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        path = Path(directory) / "control"
        listener.bind(str(path))
        listener.listen()
        server = threading.Thread(target=answer, args=(listener, asked))
        server.start()
        channel = Channel(path, leaps=1000)
        channel.ask("run", timeout_s=2)
        channel.ask("run", timeout_s=3100)
        channel.close()
        server.join()
    assert [each["timeout_s"] for each in asked] == [2000, 1_000_000]
