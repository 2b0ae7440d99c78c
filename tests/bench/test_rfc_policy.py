"""The RFC's policy from user space: its formula, and what is written in which order."""

import subprocess
import sys

import pytest
from efficacy.guest import rfc_policy
from hypothesis import given
from hypothesis import strategies as st
from vm.machine import TOKEN

CONTEXT = "0/contexts/0"


@pytest.mark.parametrize(
    ("free_permille", "marks"), [(893, [893, 496, 100]), (872, [872, 486, 100])]
)
def test_marks_are_those_of_the_rfc(free_permille, marks):
    priorities = [10, 50, 90]
    got = [rfc_policy.mark(priority, priorities, free_permille) for priority in priorities]
    assert got == marks


@given(
    st.lists(st.integers(1, 100), min_size=2, unique=True),
    st.integers(rfc_policy.LOWEST_PERMILLE, 1000),
)
def test_marks_are_between_100_and_free_memory_and_higher_for_what_is_less_important(
    priorities, free_permille
):
    priorities.sort()
    marks = [rfc_policy.mark(priority, priorities, free_permille) for priority in priorities]
    assert (marks[0], marks[-1]) == (free_permille, rfc_policy.LOWEST_PERMILLE)
    assert marks == sorted(marks, reverse=True)


def test_below_100_permille_the_unsigned_numbers_of_the_rfc_are_beyond_everything():
    marks = [rfc_policy.mark(priority, [10, 50, 90], 10) for priority in (10, 50, 90)]
    assert marks[2] == 100
    assert all(mark == pytest.approx(2.3e17, rel=0.01) for mark in marks[:2])


def test_free_memory_is_counted_as_the_watermarks_do():
    assert rfc_policy.free_permille("MemTotal: 1000 kB\nMemFree: 87 kB\nMemAvailable: 9 kB") == 87


def test_each_scheme_is_of_its_own_target_and_all_is_there_before_it_is_on():
    written = list(rfc_policy.files([70, 71], [893, 100]))
    paths = [path for path, _ in written]
    assert len(set(paths)) == len(paths)
    assert written[-1] == ("0/state", "on")
    values = dict(written)
    for index, (pid, mark) in enumerate(((70, 893), (71, 100))):
        scheme = f"{CONTEXT}/schemes/{index}"
        assert values[f"{CONTEXT}/targets/{index}/pid_target"] == pid
        assert values[f"{scheme}/filters/0/damon_target_idx"] == index
        assert values[f"{scheme}/watermarks/high"] == values[f"{scheme}/watermarks/mid"] == mark
    made = ("nr_kdamonds", "0/contexts/nr_contexts", f"{CONTEXT}/targets/nr_targets")
    assert [path for path in paths if path in made] == list(made)
    assert paths.index(f"{CONTEXT}/schemes/0/filters/nr_filters") < paths.index(
        f"{CONTEXT}/schemes/0/filters/0/type"
    )


def test_only_a_kernel_that_was_made_for_it_is_written():
    assert rfc_policy.may_be_written(f"console=ttyS0 {TOKEN} panic=1")
    assert not rfc_policy.may_be_written("console=ttyS0 panic=1")


def test_on_any_other_machine_it_ends_before_it_writes(tmp_path):
    words = [tmp_path / "told", tmp_path, "10:1", "90:2"]
    ran = subprocess.run(
        [sys.executable, rfc_policy.__file__, *words], check=False, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (1, "this kernel is not made to be written\n")
    assert not list(tmp_path.iterdir())
