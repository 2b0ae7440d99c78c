"""The program of the pods does what its patterns say, and tells it as it is read."""

import shutil
import signal
import subprocess
import time

import pytest
from efficacy.latency import Window
from efficacy.record import Satisfied
from efficacy.scenarios import Heap, Keys, Spike, Stream
from efficacy.stage import make_programs

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


@pytest.mark.parametrize("workload", [Heap(2, hot_mib=1, period_ms=20), Heap(1, 0, 3000)])
def test_a_heap_is_ready_once_it_is_used(start, workload):
    assert start(*workload.arguments()).poll() is None


def test_keys_tell_how_long_operations_took(start, tmp_path):
    process = start(*Keys(2).arguments())
    latency = tmp_path / "latency"
    _until(process, lambda: latency.read_text().count("\n") > 1)
    first = Window.model_validate_json(latency.read_text().splitlines()[0])
    assert first.end_s > first.begin_s
    assert sum(first.buckets.values()) > 0


def test_keys_that_sleep_do_nothing_until_they_are_woken(start, tmp_path):
    process = start(*Keys(2, awake=False).arguments())
    latency = tmp_path / "latency"
    _until(process, lambda: latency.read_text().count("\n") > 0)
    assert not Window.model_validate_json(latency.read_text().splitlines()[0]).buckets
    process.send_signal(signal.SIGUSR1)
    _until(process, lambda: '":' in latency.read_text().rpartition("buckets")[2])


def test_a_spike_tells_from_when_to_when_it_took_its_memory(start, tmp_path):
    process = start(*Spike(2).arguments())
    assert not (tmp_path / "satisfied").exists()
    process.send_signal(signal.SIGUSR1)
    _until(process, (tmp_path / "satisfied").exists)
    told = Satisfied.model_validate_json((tmp_path / "satisfied").read_text())
    assert told.end_s >= told.begin_s


def test_a_stream_makes_the_file_that_it_reads(start, tmp_path):
    words = list(Stream(2, mib_per_s=20).arguments())
    words[1] = str(tmp_path / "streamed")
    start(*words)
    assert (tmp_path / "streamed").stat().st_size == 2 << 20
