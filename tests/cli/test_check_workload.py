"""The program in the pods of `check`, run for real, and how its lines are read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_cli.check import workload
from damon_cli.check.sample import Sample, samples

MIB = 2**20
_OTHERS = 2**16


@pytest.fixture(name="lines", scope="module")
def lines_fixture():
    """The first two lines, as a pod gets the program: as text."""
    command = [sys.executable, "-c", Path(workload.__file__).read_text(), "6", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        found = [running.stdout.readline() for _ in range(2)]
        running.kill()
    return found


def test_it_says_where_its_memory_is(lines):
    first, second = samples("".join(lines))
    assert (first.second, second.second) == (1, 2)
    for each in (first, second):
        # What the kernel of this machine has swapped out meanwhile is told apart, and not lost.
        cold_bytes = each.cold_resident_bytes + each.cold_swap_bytes
        hot_bytes = each.hot_resident_bytes + each.hot_swap_bytes
        # A page or two of somebody's that asks for the same advice is taken for ours.
        assert 6 * MIB <= cold_bytes <= 6 * MIB + _OTHERS
        assert 2 * MIB <= hot_bytes <= 2 * MIB + _OTHERS


def test_the_figures_of_its_cgroup_are_read_where_there_are_any(tmp_path, monkeypatch):
    monkeypatch.setattr(workload, "CGROUPS", tmp_path)
    inside = re.search(r"^0::/?(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
    own = tmp_path / (inside[1] if inside else "")
    own.mkdir(parents=True, exist_ok=True)
    assert workload.cgroup() == {}
    (own / "memory.current").write_text("4096\n")
    (own / "memory.swap.max").write_text("max\n")
    (own / "memory.stat").write_text("file 1\nanon 77\nanon_thp 5\n")
    assert workload.cgroup() == {"memoryBytes": 4096, "anonBytes": 77}
    (own / "memory.swap.max").write_text("0\n")
    assert workload.cgroup()["swapMaxBytes"] == 0


def test_a_line_that_is_cut_off_is_left_out(lines):
    assert [each.second for each in samples(lines[0] + lines[1][:-20])] == [1]


@given(
    st.text() | st.lists(st.sampled_from(['{"second": 1}', "[1]", "null", "[" * 99])).map("\n".join)
)
def test_any_log_can_be_read(text):
    assert all(isinstance(each, Sample) for each in samples(text))
