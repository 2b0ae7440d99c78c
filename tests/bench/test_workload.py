"""The program of the pods does what its patterns say, and tells it as it is read."""

import mmap
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from efficacy.latency import Window
from efficacy.record import Satisfied
from efficacy.stage import make_programs
from efficacy.workloads import cron, file, forks, heap, keys, sandbox, spike, stream

pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") or shutil.which("cc")), reason="no C compiler"
)


@pytest.fixture(name="program", scope="module")
def program_fixture(tmp_path_factory):
    directory = tmp_path_factory.mktemp("made") / "programs"
    make_programs(directory)
    return directory / "workload"


@pytest.fixture(name="start")
def start_fixture(program, tmp_path):
    running = []

    def start(*arguments):
        process = subprocess.Popen([program, tmp_path, *arguments], stderr=subprocess.PIPE)
        running.append(process)
        _until(process, (tmp_path / "ready").exists)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def _until(process, look):
    while not look():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.mark.parametrize(
    "workload", [heap(2, hot_mib=1, period_ms=20), heap(1, hot_mib=0, period_ms=3000)]
)
def test_a_heap_is_ready_once_it_is_used(start, workload):
    assert start(*workload.words).poll() is None


def test_a_heap_tells_how_long_the_pages_of_its_hot_part_took(start, tmp_path):
    process = start(*heap(2, hot_mib=1, period_ms=1000).words)
    latency = tmp_path / "latency"
    _until(process, lambda: latency.read_text().count("\n") > 4)
    windows = map(Window.model_validate_json, latency.read_text().splitlines()[1:4])
    pages = [sum(window.buckets.values()) for window in windows]
    # 256 pages in a second; a busy machine makes fewer of them.
    assert all(0 < each < 100 for each in pages)


@pytest.mark.parametrize(
    "workload",
    [
        heap(2, hot_mib=1, period_ms=20, tells_latency=False),
        heap(1, hot_mib=0, period_ms=20),
        forks(2, hot_mib=1, period_ms=20, workers=1),
    ],
)
def test_who_tells_no_latency_writes_none(start, tmp_path, workload):
    assert not workload.tells_latency
    process = start(*workload.words)
    time.sleep(0.5)
    assert process.poll() is None
    assert not (tmp_path / "latency").exists()


@pytest.mark.parametrize(("is_huge", "flag"), [(True, "hg"), (False, "nh")])
def test_a_heap_asks_for_huge_pages_or_for_none(start, is_huge, flag):
    process = start(*heap(4, hot_mib=1, period_ms=20, is_huge=is_huge).words)
    assert flag in _flags(process.pid, 4 << 20)


def _flags(pid, size):
    """Return the flags of the mapping in which one of this size is."""
    found = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, told = line.partition(":")
        if name == "Size":
            found = told
        elif name == "VmFlags" and int(found.split()[0]) >= size >> 10:
            return told.split()
    raise AssertionError(f"no mapping of {size} bytes")


def test_keys_tell_how_long_operations_took(start, tmp_path):
    process = start(*keys(2).words)
    latency = tmp_path / "latency"
    _until(process, lambda: latency.read_text().count("\n") > 1)
    first = Window.model_validate_json(latency.read_text().splitlines()[0])
    assert first.end_s > first.begin_s
    assert sum(first.buckets.values()) > 0


def test_keys_that_sleep_do_nothing_until_they_are_woken(start, tmp_path):
    process = start(*keys(2, awake=False).words)
    latency = tmp_path / "latency"
    _until(process, lambda: latency.read_text().count("\n") > 0)
    assert not Window.model_validate_json(latency.read_text().splitlines()[0]).buckets
    process.send_signal(signal.SIGUSR1)
    _until(process, lambda: '":' in latency.read_text().rpartition("buckets")[2])


def test_a_spike_tells_from_when_to_when_it_took_its_memory(start, tmp_path):
    process = start(*spike(2).words)
    assert not (tmp_path / "satisfied").exists()
    process.send_signal(signal.SIGUSR1)
    _until(process, (tmp_path / "satisfied").exists)
    told = Satisfied.model_validate_json((tmp_path / "satisfied").read_text())
    assert told.end_s >= told.begin_s


def test_a_stream_makes_the_file_that_it_reads(start, tmp_path):
    words = list(stream(2, mib_per_s=20).words)
    words[1] = str(tmp_path / "streamed")
    start(*words)
    assert (tmp_path / "streamed").stat().st_size == 2 << 20


def test_a_sparse_heap_has_its_memory_in_pieces(start):
    process = start(*heap(4, hot_mib=1, period_ms=20, stride=8).words)
    pieces = _resident_pieces(process.pid, 32 << 20)
    assert pieces == [index % 8 == 0 for index in range(32)]


def _resident_pieces(pid, size):
    """Return of each MiB of the mapping of this size whether its middle is in memory."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    ranges = [[int(word, 16) for word in line.split()[0].split("-")] for line in lines]
    (start,) = [begin for begin, end in ranges if end - begin == size]
    with Path(f"/proc/{pid}/pagemap").open("rb") as pagemap:
        found = []
        for address in range(start + (1 << 19), start + size, 1 << 20):
            pagemap.seek(address // mmap.PAGESIZE * 8)
            found.append(bool(pagemap.read(8)[7] & 0x80))
    return found


def test_forked_workers_share_one_heap(start):
    process = start(*forks(4, hot_mib=1, period_ms=20, workers=3).words)
    workers = _children(process.pid)
    assert len(workers) == 3
    # Pages that were written again would be each worker's own.
    assert all(_private_kb(pid) < 1 << 10 for pid in workers)


def test_a_cron_job_uses_all_its_memory_after_each_period(start, tmp_path):
    process = start(*cron(1, period_ms=50).words)
    latency = tmp_path / "latency"
    _until(process, lambda: latency.read_text().count("\n") > 1)
    first = Window.model_validate_json(latency.read_text().splitlines()[0])
    assert sum(first.buckets.values()) == 256


def test_a_sandbox_is_ready_when_it_has_computed_and_leaves_its_memory_to_a_child(start, tmp_path):
    process = start(*sandbox(4, compute_ms=100).words)
    assert not _children(process.pid)
    process.send_signal(signal.SIGUSR1)
    _until(process, (tmp_path / "satisfied").exists)
    told = Satisfied.model_validate_json((tmp_path / "satisfied").read_text())
    assert told.end_s - told.begin_s >= 0.1
    _until(process, lambda: _children(process.pid))
    (child,) = _children(process.pid)
    _until(process, lambda: _memory_kb(process.pid, "RssAnon") < 1 << 10)
    assert _memory_kb(child, "RssAnon") >= 4 << 10


def _children(pid):
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in words]


def _memory_kb(pid, name):
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return next(int(line[1]) for line in lines if line[0] == f"{name}:")


def _private_kb(pid):
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line[1]) for line in lines if line[0] in {"Private_Dirty:", "Private_Clean:"})


@pytest.mark.parametrize("how", ["read", "map"])
def test_a_file_is_used_page_by_page_and_tells_how_long_that_took(start, tmp_path, how):
    words = list(file("file", how, 2, hot_mib=1).words)
    words[1] = str(tmp_path / "file")
    process = start(*words)
    assert (tmp_path / "file").stat().st_size == 2 << 20
    latency = tmp_path / "latency"
    _until(process, lambda: latency.read_text().count("\n") > 4)
    windows = map(Window.model_validate_json, latency.read_text().splitlines()[1:4])
    pages = [sum(window.buckets.values()) for window in windows]
    # 256 pages in a second; a busy machine makes fewer of them.
    assert all(0 < each < 100 for each in pages)
