"""QEMU's command line of a machine."""

from vm.archive import Kernel
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
