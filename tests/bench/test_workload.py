"""The program of the pods does what its patterns say, and tells it as it is read."""

import shutil
import signal
import subprocess
import time

import pytest
from efficacy.latency import Window
from efficacy.record import Satisfied
from efficacy.stage import make_programs
from efficacy.workloads import file, heap, keys, spike, stream

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
