"""What the program in the machine reads of the kernel's files."""

import json
import subprocess
import sys

import pytest
from efficacy.guest import reclaim_loop, recorder, rfc_policy
from efficacy.record import Sample

STAT = "99 (kdamond.0 (x)) S 2 0 0 0 -1 2129984 0 0 0 0 150 250 0 0 20 0 1 0 7 0 0\n"
PRESSURE = (
    "some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000\n"
    "full avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\n"
)


@pytest.fixture(name="cgroup")
def cgroup_fixture(tmp_path):
    directory = tmp_path / "pod"
    directory.mkdir()
    for name, text in {
        "memory.current": "262144000\n",
        "memory.swap.current": "4096\n",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 1\noom_kill 2\noom_group_kill 0\n",
        "memory.stat": "anon 1048576\nanon_thp 524288\nswapcached 1024\nfile 4096\nfile_mapped 1\n"
        "inactive_file 3072\nactive_file 1024\npgmajfault 7\n"
        "workingset_refault_anon 5\nworkingset_refault_file 6\n",
        "memory.pressure": PRESSURE,
        "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    }.items():
        (directory / name).write_text(text)
    return directory


@pytest.fixture(name="proc")
def proc_fixture(tmp_path):
    proc = tmp_path / "proc"
    (proc / "pressure").mkdir(parents=True)
    (proc / "meminfo").write_text(
        "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable: 170 kB\nHugePages_Total: 0\n"
        "Inactive(file): 30 kB\nSwapTotal: 20 kB\nSwapFree: 20 kB\n"
    )
    (proc / "vmstat").write_text("pswpin 1\npswpout 2\npgmajfault 3\npgscan_direct 4\nnr_x 5\n")
    (proc / "pressure/memory").write_text(PRESSURE)
    for pid, stat in {"99": STAT, "100": STAT.replace("kdamond.0 (x)", "sh")}.items():
        (proc / pid).mkdir()
        (proc / pid / "stat").write_text(stat)
    (proc / "101").mkdir()
    return proc


def test_a_sample_has_what_is_kept_of_one(cgroup, proc, tmp_path):
    taken = recorder.sample({"idle": cgroup, "gone": tmp_path / "gone"}, proc)
    sample = Sample.model_validate_json(json.dumps(taken))
    assert sample.memory["available_bytes"] == 170 * 1024
    assert sample.memory["inactive_file_bytes"] == 30 * 1024
    assert sample.node["swapped_out_pages"] == 2
    assert sample.node["pressure_some_s"] == 2.5
    assert sample.threads_cpu_s == {"kdamond.0 (x):99": 400 / recorder.TICKS_PER_S}
    assert list(sample.pods) == ["idle"]
    idle = sample.pods["idle"]
    assert (idle.swap_bytes, idle.anon_bytes, idle.refaults_anon) == (4096, 1 << 20, 5)
    assert (idle.huge_bytes, idle.swap_cached_bytes) == (512 << 10, 1024)
    assert (idle.file_bytes, idle.inactive_file_bytes, idle.active_file_bytes) == (4096, 3072, 1024)
    assert (idle.oom_kills, idle.cpu_s, idle.pressure_full_s) == (2, 1.5, 1.0)


def test_a_cgroup_of_a_kernel_without_swap_has_none(cgroup, proc):
    (cgroup / "memory.swap.current").unlink()
    sample = Sample.model_validate_json(json.dumps(recorder.sample({"idle": cgroup}, proc)))
    assert sample.pods["idle"].swap_bytes == 0


def test_the_loop_reads_the_pressure_of_the_last_ten_seconds():
    assert reclaim_loop.pressure_percent(PRESSURE) == 1.5


@pytest.mark.parametrize("program", [recorder, reclaim_loop, rfc_policy])
def test_what_is_sent_into_the_machine_needs_nothing_but_python(program):
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({program.__file__!r})"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
