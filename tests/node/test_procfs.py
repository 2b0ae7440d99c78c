import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from damon_agent.errors import MalformedError, UnreadableError
from damon_agent.facts import Process
from damon_agent.node.meminfo import MemoryMeter
from damon_agent.node.procfs import Procfs

MEMINFO = """MemTotal:        1000 kB
MemFree:          200 kB
MemAvailable:     600 kB
Buffers:           10 kB
SwapTotal:        500 kB
"""
ZONEINFO = """Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 2312
  pages free     2804
        boost    0
        min      49
        low      55
        high     61
        spanned  4095
  pagesets
    cpu: 0
              count:    0
              high:     333
              high_min: 25
Node 0, zone   Normal
  pages free     11
        high     39
  pagesets
    cpu: 0
              high:     444
"""


def stat_line(pid, comm="worker", state="S", start=4711):
    fields = [state, *(str(n) for n in range(1, 19)), str(start), "1024", "7"]
    return f"{pid} ({comm}) {' '.join(fields)}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "zoneinfo").write_text(ZONEINFO)
    boot = tmp_path / "sys/kernel/random"
    boot.mkdir(parents=True)
    (boot / "boot_id").write_text("5e1f-77\n")
    return tmp_path


def put(root: Path, pid: int, **stat) -> None:
    (root / str(pid)).mkdir()
    (root / str(pid) / "stat").write_text(stat_line(pid, **stat))
    (root / str(pid) / "comm").write_text(stat.get("comm", "worker") + "\n")
    (root / str(pid) / "cgroup").write_text("0::/x\n")


def test_memory_is_in_bytes_and_the_zones_watermarks_are_added_up(root):
    memory = MemoryMeter(Procfs(root)).read(0)
    assert memory.capacity_bytes == 1000 * 1024
    assert memory.free_bytes == 200 * 1024
    assert memory.available_bytes == 600 * 1024
    assert memory.swap_total_bytes == 500 * 1024
    assert memory.zone_high_bytes == (61 + 39) * os.sysconf("SC_PAGE_SIZE")


def test_this_machines_own_memory_is_read():
    memory = MemoryMeter(Procfs(Path("/proc"))).read(0)
    assert 0 < memory.zone_high_bytes < memory.capacity_bytes
    assert 0 < memory.free_bytes <= memory.capacity_bytes


@pytest.mark.parametrize("comm", ["worker", "a b", "x) S 1 (y", "((", "sd-pam)", ""])
def test_the_start_time_is_found_behind_any_command_name(root, comm):
    put(root, 7, comm=comm, start=99)
    assert Procfs(root).process(7) == Process(7, 99)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_zombie_is_no_process(root, state):
    put(root, 7, state=state)
    assert Procfs(root).process(7) is None


LEADERLESS = """
import ctypes, threading, time
def go_on():
    print(threading.get_native_id(), flush=True)
    time.sleep(600)
threading.Thread(target=go_on).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_real_process_whose_first_thread_has_exited_is_known_by_another_thread():
    with subprocess.Popen([sys.executable, "-c", LEADERLESS], stdout=subprocess.PIPE) as child:
        try:
            thread = int(child.stdout.readline())
            proc = Procfs(Path("/proc"))
            while " Z " not in Path(f"/proc/{child.pid}/stat").read_text():
                time.sleep(0.01)
            found = proc.process(child.pid)
            assert found.pid == thread
            assert found.start_ticks > 0
            assert proc.is_alive(found)
            assert proc.resident_bytes(found.pid) > 1 << 20
        finally:
            child.kill()
            child.wait()
        assert not proc.is_alive(found)
        assert proc.process(child.pid) is None


def test_files_and_shared_memory_are_not_anonymous(root):
    put(root, 7)
    (root / "7" / "statm").write_text("900 500 120 1 0 300 0\n")
    proc = Procfs(root)
    assert proc.resident_bytes(7) == 500 * proc.page_bytes
    assert proc.anonymous_bytes(7) == 380 * proc.page_bytes
    assert proc.anonymous_bytes(8) is None


@pytest.mark.parametrize("text", ["", "900", "900 500", "900 x 1", "900 500 -1"])
def test_a_statm_that_says_nothing_is_an_error_of_its_process(root, text):
    put(root, 7)
    (root / "7" / "statm").write_text(text)
    for read in (Procfs(root).resident_bytes, Procfs(root).anonymous_bytes):
        with pytest.raises(MalformedError, match="7/statm"):
            read(7)


@pytest.mark.parametrize("broken", ["stat", "statm", "cgroup"])
def test_a_file_that_cannot_be_read_is_an_error_of_its_process(root, broken):
    put(root, 7)
    (root / "7" / broken).unlink(missing_ok=True)
    (root / "7" / broken).mkdir()
    proc = Procfs(root)
    read = {"stat": proc.process, "statm": proc.resident_bytes, "cgroup": proc.cgroup_text}
    with pytest.raises(UnreadableError, match=f"7/{broken}"):
        read[broken](7)
    assert not proc.is_alive(Process(7, 4711)) or broken != "stat"
    assert proc.spent_us(7) is None or broken != "stat"


@pytest.mark.parametrize(
    "text",
    [b"", b"7", b"7 (x", b"7 (x) S", b"\xff\x00" * 99, b"7 (x) S " + b"x " * 18 + b"9" * 9999],
)
def test_a_stat_that_says_nothing_is_an_error_of_its_process(root, text):
    put(root, 7)
    (root / "7/stat").write_bytes(text)
    proc = Procfs(root)
    with pytest.raises(MalformedError, match="7/stat"):
        proc.process(7)
    assert not proc.is_alive(Process(7, 4711))
    assert proc.spent_us(7) is None


def test_huge_pages_are_no_capacity(root):
    total = MEMINFO.replace("1000 kB", "134217728 kB")
    (root / "meminfo").write_text(total + "HugePages_Total: 32768\nHugetlb: 67108864 kB\n")
    memory = MemoryMeter(Procfs(root)).read(0)
    assert (memory.capacity_bytes, memory.total_bytes) == (64 << 30, 128 << 30)


def test_nothing_but_huge_pages_is_no_meminfo(root):
    (root / "meminfo").write_text(MEMINFO + "Hugetlb: 1000 kB\n")
    with pytest.raises(MalformedError, match="huge pages"):
        MemoryMeter(Procfs(root)).read(0)


def test_swap_is_used_up_below_two_percent_and_free_again_from_five_on(root):
    meter = MemoryMeter(Procfs(root))
    found = []
    for free in (500, 11, 10, 9, 0, 24, 25, 11, 9):
        (root / "meminfo").write_text(f"{MEMINFO}SwapFree: {free} kB\n")
        found.append(meter.read(0).swap_full)
    assert found == [False, False, False, True, True, True, False, False, True]


def test_swap_that_is_being_switched_off_is_used_up_until_there_is_none(root):
    meter = MemoryMeter(Procfs(root))
    found = []
    for total in (300, 100, 0):
        text = MEMINFO.replace("500 kB", f"{total} kB")
        (root / "meminfo").write_text(f"{text}SwapFree: 0 kB\n")
        found.append(meter.read(0).swap_full)
    assert found == [True, True, False]


def test_a_real_zombie_is_no_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Procfs(Path("/proc")).process(child.pid) is None


def test_a_vanished_process_is_a_normal_answer(root):
    proc = Procfs(root)
    assert proc.process(8) is None
    assert proc.cgroup_text(8) is None
    assert proc.comm(8) is None


def test_a_process_that_vanishes_between_listing_and_reading_is_left_out(root):
    put(root, 7)
    (root / "8").mkdir()
    proc = Procfs(root)
    assert [proc.cgroup_text(pid) for pid in sorted(proc.pids())] == [b"0::/x\n", None]


def test_a_later_process_with_the_same_pid_is_another_one(root):
    put(root, 7, start=100)
    proc = Procfs(root)
    first = proc.process(7)
    assert proc.is_alive(first)
    (root / "7" / "stat").write_text(stat_line(7, start=101))
    assert not proc.is_alive(first)


def test_only_pids_are_listed_not_threads_or_other_entries(root):
    put(root, 7)
    (root / "self").mkdir()
    (root / "7" / "task" / "9").mkdir(parents=True)
    assert Procfs(root).pids() == [7]


def test_this_process_is_found_with_its_cgroup():
    proc = Procfs(Path("/proc"))
    assert os.getpid() in proc.pids()
    assert proc.cgroup_text(os.getpid()) == Path("/proc/self/cgroup").read_bytes()


def test_the_host_pid_namespace_is_told_by_kthreadd(root):
    assert not Procfs(root).is_host_pid_namespace()
    put(root, 2, comm="kthreadd")
    assert Procfs(root).is_host_pid_namespace()


def test_the_boot_id_is_read_without_its_newline(root):
    assert Procfs(root).boot_id() == "5e1f-77"


def test_a_missing_file_of_the_node_is_an_error_with_path_and_errno(root):
    (root / "meminfo").unlink()
    with pytest.raises(UnreadableError, match="meminfo") as raised:
        MemoryMeter(Procfs(root)).read(0)
    assert raised.value.errno == errno.ENOENT


def test_a_root_that_is_not_there_is_an_error_with_its_path(tmp_path):
    with pytest.raises(UnreadableError, match="absent"):
        Procfs(tmp_path / "absent").pids()


@pytest.mark.parametrize(
    "text",
    [
        MEMINFO.replace("MemAvailable", "Other"),
        MEMINFO.replace("1000 kB", "?"),
        "",
        MEMINFO.replace("200 kB", "9" * 5000),
    ],
)
def test_a_meminfo_without_what_is_needed_is_an_error(root, text):
    (root / "meminfo").write_text(text)
    with pytest.raises(MalformedError, match="meminfo"):
        MemoryMeter(Procfs(root)).read(0)


def test_a_file_of_many_pages_is_read_whole(root):
    (root / "zoneinfo").write_text("      filler 1\n" * 20000 + "  high     5\n")
    assert Procfs(root).zone_high_bytes() == 5 * os.sysconf("SC_PAGE_SIZE")


def test_watermarks_of_the_zones_are_read_again_only_after_a_minute(root):
    meter = MemoryMeter(Procfs(root))
    before = meter.read(0).zone_high_bytes
    (root / "zoneinfo").write_text("  high     5\n")
    assert meter.read(59_000_000).zone_high_bytes == before
    assert meter.read(60_000_000).zone_high_bytes == 5 * os.sysconf("SC_PAGE_SIZE")
