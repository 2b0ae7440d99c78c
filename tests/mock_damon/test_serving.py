"""The emulator served to other processes: unix socket, control socket, FUSE, command line."""

import contextlib
import errno
import functools
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from damon_mock.__main__ import main
from damon_mock.damon import (
    Emulator,
    Fault,
    Hangs,
    HostProcesses,
    Killed,
    Kills,
    RealtimeFiles,
    SharedEmulator,
    Ticker,
    control,
    fuse,
    remote,
)
from damon_mock.damon.wire import Server

KDAMONDS = "admin/kdamonds/"


@pytest.fixture
def ticker():
    emulator = Emulator("6.12", HostProcesses(Path("/proc")))
    with Ticker(SharedEmulator(emulator)) as ticker:
        yield ticker
        ticker.shared.close()


@pytest.fixture
def files(ticker, tmp_path):
    path = tmp_path / "damon.sock"
    with Server(path, functools.partial(remote.answer, RealtimeFiles(ticker))):
        client = remote.SocketFiles(path, "damon")
        yield client
        client.close()


@pytest.fixture
def controlled(ticker, tmp_path):
    path = tmp_path / "control.sock"
    with Server(path, functools.partial(control.answer, ticker)):
        client = control.Control(path)
        yield client
        client.close()


def switch_on(write):
    """Start a kdamond on this very process."""
    write("nr_kdamonds", "1")
    write("0/contexts/nr_contexts", "1")
    write("0/contexts/0/targets/nr_targets", "1")
    write("0/contexts/0/targets/0/pid_target", str(os.getpid()))
    write("0/state", "on")


def started(files):
    switch_on(lambda path, value: files.write(KDAMONDS + path, value.encode()))


class TestSocket:
    def test_it_gives_contents_entries_and_errnos(self, files):
        assert files.list("") == ["admin"]
        started(files)
        assert files.read(KDAMONDS + "0/state") == b"on\n"
        files.write(KDAMONDS + "0/state", b"commit")
        with pytest.raises(OSError, match="Invalid") as failure:
            files.write(KDAMONDS + "nr_kdamonds", b"x")
        assert failure.value.errno == errno.EINVAL
        with pytest.raises(FileNotFoundError):
            files.read("nothing")
        assert files.under("admin").list("") == ["kdamonds"]

    def test_a_write_that_hangs_delays_nobody_else(self, files, ticker):
        started(files)
        ticker.shared.emulator.faults.add(Fault("*/state", Hangs(), value="commit"))
        writer = threading.Thread(target=files.write, args=(KDAMONDS + "0/state", b"commit"))
        writer.start()
        with ticker.shared.changed:
            ticker.shared.changed.wait_for(
                lambda: ticker.shared.emulator.kdamonds[0].request is not None, timeout=10
            )
        assert files.read(KDAMONDS + "0/state") == b"on\n"
        files.write(KDAMONDS + "0/state", b"off")
        writer.join(10)
        assert not writer.is_alive()

    def test_an_injected_death_reaches_the_client(self, files, ticker):
        ticker.shared.emulator.faults.add(Fault("*", Kills("before")))
        with pytest.raises(Killed):
            files.write(KDAMONDS + "nr_kdamonds", b"1")
        assert files.read(KDAMONDS + "nr_kdamonds") == b"0\n"

    def test_nobody_serving_is_an_oserror(self, tmp_path):
        with pytest.raises(OSError, match="No such file"):
            remote.SocketFiles(tmp_path / "nowhere").read("x")


class TestControl:
    def test_it_dumps_both_copies_events_and_writes(self, files, controlled):
        started(files)
        dump = controlled.do("dump")
        assert dump["sysfs"]["damon/admin/kdamonds/0/state"] == "on"
        (kdamond,) = dump["kdamonds"]
        assert kdamond["context"]["targets"][0]["process"]["pid"] == os.getpid()
        assert [write["value"] for write in dump["writes"]][-1] == "on"
        assert dump["events"][0]["kind"] == "on"
        assert controlled.do("dump", since_write=4)["writes"] == dump["writes"][4:]
        assert dump["inherited"] == []

    @pytest.mark.parametrize("question", [("nonsense", {}), ("dump", {"since": 1})])
    def test_a_bad_question_is_answered_with_the_reason(self, controlled, question):
        verb, keys = question
        with pytest.raises(control.ControlError, match=verb):
            controlled.do(verb, **keys)


@pytest.mark.fuse
@pytest.mark.skipif(fuse.missing() is not None, reason=f"no FUSE here: {fuse.missing()}")
class TestFuse:
    @pytest.fixture
    def mount(self, ticker, tmp_path):
        directory = tmp_path / "mount"
        directory.mkdir()
        with fuse.Mount(ticker, directory):
            yield directory / "damon"
        assert not directory.is_mount()

    def started(self, mount):
        switch_on(lambda path, value: (mount / KDAMONDS / path).write_text(value + "\n"))

    def test_reads_writes_modes_and_directories_are_those_of_the_tree(self, mount):
        self.started(mount)
        kdamond = mount / KDAMONDS / "0"
        assert (kdamond / "state").read_text() == "on\n"
        (kdamond / "state").write_text("commit\n")
        assert stat.S_IMODE((kdamond / "state").stat().st_mode) == 0o600
        assert stat.S_IMODE((kdamond / "pid").stat().st_mode) == 0o400
        assert stat.S_IMODE(kdamond.stat().st_mode) == 0o755
        assert (kdamond / "state").stat().st_size == 4096
        assert sorted(entry.name for entry in kdamond.iterdir()) == ["contexts", "pid", "state"]
        assert (mount.parent / "module/damon_reclaim/parameters/enabled").read_text() == "N\n"

    @pytest.mark.parametrize(
        ("path", "value", "code"),
        [
            ("nr_kdamonds", "x", errno.EINVAL),
            ("0/state", "bogus", errno.EINVAL),
            ("0/contexts/nr_contexts", "2", errno.EINVAL),
            ("0/pid", "1", errno.EACCES),
            ("new", "1", errno.EACCES),
            ("9/state", "on", errno.ENOENT),
            ("nr_kdamonds", "2", errno.EBUSY),
        ],
    )
    def test_errnos_arrive_at_open_or_write(self, mount, path, value, code):
        self.started(mount)
        with pytest.raises(OSError, match=os.strerror(code)) as failure:
            (mount / KDAMONDS / path).write_text(value)
        assert failure.value.errno == code

    def test_directories_vanish_with_the_count(self, mount):
        (mount / KDAMONDS / "nr_kdamonds").write_text("3")
        assert (mount / KDAMONDS / "2/state").exists()
        (mount / KDAMONDS / "nr_kdamonds").write_text("1")
        assert not (mount / KDAMONDS / "2/state").exists()

    def test_a_second_read_asks_again_for_numbered_directories_alone(self, mount, monkeypatch):
        self.started(mount)
        path = mount / KDAMONDS / "0/contexts/0/targets/0/pid_target"
        path.read_bytes()
        asked = []
        parse = fuse.protocol.request

        def request(data):
            asked.append(parse(data))
            return asked[-1]

        monkeypatch.setattr(fuse.protocol, "request", request)
        descriptor = os.open(path, os.O_RDONLY)
        os.read(descriptor, 4096)
        os.close(descriptor)
        names = [fuse.protocol.name(one.body) for one in asked if one.opcode == fuse.Opcode.LOOKUP]
        assert names == ["0", "0", "0"]
        assert fuse.Opcode.GETATTR not in [one.opcode for one in asked]

    def test_a_read_only_tree_is_erofs_at_open(self, mount, ticker):
        ticker.shared.emulator.read_only = True
        with pytest.raises(OSError, match="Read-only"):
            (mount / KDAMONDS / "nr_kdamonds").open("w")

    def test_a_write_that_hangs_blocks_nobody_else(self, mount, ticker):
        self.started(mount)
        ticker.shared.emulator.faults.add(Fault("*/state", Hangs(), value="commit"))
        writer = threading.Thread(
            target=(mount / KDAMONDS / "0/state").write_text, args=("commit",)
        )
        writer.start()
        with ticker.shared.changed:
            ticker.shared.changed.wait_for(
                lambda: ticker.shared.emulator.kdamonds[0].request is not None, timeout=10
            )
        assert (mount / KDAMONDS / "0/state").read_text() == "on\n"
        (mount / KDAMONDS / "0/state").write_text("off")
        writer.join(10)
        assert not writer.is_alive()

    def test_a_write_that_hangs_is_let_go_when_the_mount_ends(self, ticker, tmp_path):
        directory = tmp_path / "mount"
        directory.mkdir()
        ticker.shared.emulator.faults.add(Fault("*/nr_kdamonds", Hangs()))

        def hang():
            with contextlib.suppress(OSError):
                (directory / "damon/admin/kdamonds/nr_kdamonds").write_text("1")

        writer = threading.Thread(target=hang)
        with fuse.Mount(ticker, directory):
            writer.start()
            with ticker.shared.changed:
                ticker.shared.changed.wait_for(
                    lambda: len(ticker.shared.emulator.log) == 1, timeout=10
                )
        writer.join(10)
        assert not writer.is_alive()

    def test_an_unmount_beside_a_request_ends_quietly(self, ticker, tmp_path, monkeypatch):
        """The kernel answers ECONNABORTED when a request is under way: once in 300 unmounts."""
        read = os.read

        def aborted(descriptor, size):
            data = read(descriptor, size)
            if threading.current_thread().name != "damon-mock-fuse":
                return data
            if fuse.protocol.request(data).opcode == fuse.Opcode.RELEASE:
                raise OSError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))
            return data

        monkeypatch.setattr(fuse.os, "read", aborted)
        with fuse.Mount(ticker, tmp_path):
            (tmp_path / "damon/admin/kdamonds/nr_kdamonds").read_bytes()

    def test_an_injected_death_kills_the_writer(self, mount, ticker):
        ticker.shared.emulator.faults.add(Fault("*/nr_kdamonds", Kills("after")))
        script = f"open({str(mount / KDAMONDS / 'nr_kdamonds')!r}, 'w').write('2')"
        ended = subprocess.run([sys.executable, "-c", script], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert (mount / KDAMONDS / "nr_kdamonds").read_text() == "2\n"

    def test_a_directory_that_is_not_there_cannot_be_mounted(self, ticker, tmp_path):
        with pytest.raises(fuse.MountError), fuse.Mount(ticker, tmp_path / "nothing"):
            pass


class TestCommand:
    def test_it_serves_until_sigterm_and_cleans_up(self, tmp_path):
        socket, control_socket = tmp_path / "s", tmp_path / "c"
        command = [
            *(sys.executable, "-m", "damon_mock", "sysfs", "--profile", "7.2"),
            *("--socket", socket, "--control", control_socket),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "7.2" in process.stdout.readline()
            files = remote.SocketFiles(socket)
            assert files.read("module/damon_stat/parameters/enabled") == b"N\n"
            files.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        assert not socket.exists()
        assert not control_socket.exists()

    def test_it_wants_a_way_to_serve(self, capsys):
        assert main(["sysfs"]) == 2
        assert "--mount or --socket" in capsys.readouterr().err
