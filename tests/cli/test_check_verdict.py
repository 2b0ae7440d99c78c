"""What `check` makes of how two pods stand and what they say. Pure."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_cli.check.sample import Sample
from damon_cli.check.spots import one_per_tuning, spot
from damon_cli.check.verdict import Expected, Outcome, Subject, passed, verdict
from damon_cli.explain.explanation import (
    Explanation,
    Hint,
    LaneView,
    Memory,
    Placement,
    ReclaimView,
    Standing,
)
from damon_cli.status.condition import NodeRow

MIB = 2**20
EXPECTED = Expected(64 * MIB, 16 * MIB, 24 * MIB)
HAPPENED, NOT_DUE, WAITING, FAILED = Outcome


def sample(second=30, cold_swap=0, hot_swap=0, swap_max=None):
    return Sample(
        second=second,
        cold_resident_bytes=(64 - cold_swap) * MIB,
        cold_swap_bytes=cold_swap * MIB,
        hot_resident_bytes=(16 - hot_swap) * MIB,
        hot_swap_bytes=hot_swap * MIB,
        swap_max_bytes=swap_max,
    )


def told(standing, priority, *, cold=64, mark=None, swappable=True, hints=()):
    lane = LaneView(0, (priority,), "Ladder", active=False, mark_permille=mark)
    why = None if swappable else "its node has no swap"
    return Explanation(
        namespace="damon-check-x",
        name="low-0",
        uid="u",
        standing=standing,
        sentence=f"it is {standing}.",
        priority=priority,
        source="annotation",
        chain=(),
        placement=Placement("n1", "default", "Enforce", (), 500, lane),
        memory=Memory(1, swappable, why, cold if cold is None else cold * MIB),
        containers=(),
        hints=tuple(hints),
    )


GONE = (sample(1), sample(20, cold_swap=40), sample(31, cold_swap=60))
LOW = Subject(told(Standing.EAGER, 1, cold=4), GONE)
HIGH = Subject(told(Standing.PROTECTED, 100), (sample(1), sample(31)))


def low(standing=Standing.EAGER, samples=GONE, **more):
    return Subject(told(standing, 1, **more), samples)


def found(low_=LOW, high=HIGH, *, over=False, expected=EXPECTED):
    return {phase.name: phase for phase in verdict(low_, high, expected, over=over)}


def test_all_happens_where_a_low_pod_goes_and_a_high_one_stays():
    phases = found()
    assert list(phases) == [
        "running",
        "planned",
        "taken",
        "measured",
        "given up",
        "hot stayed",
        "protected untouched",
    ]
    assert {phase.outcome for phase in phases.values()} == {HAPPENED}
    assert phases["given up"].says == "60 MiB of 64 MiB cold memory are in swap"


@pytest.mark.parametrize(
    ("standing", "phase", "outcome"),
    [
        (Standing.NOT_RUNNING, "planned", WAITING),
        (Standing.NOT_PLANNED, "planned", WAITING),
        (Standing.EXEMPT, "planned", FAILED),
        (Standing.NOT_GOVERNED, "planned", FAILED),
        (Standing.OFF, "planned", FAILED),
        (Standing.NO_AGENT, "planned", FAILED),
        (Standing.NOT_FINDABLE, "planned", FAILED),
        (Standing.LEFT_OUT, "planned", FAILED),
        (Standing.AGENT_SILENT, "taken", WAITING),
        (Standing.NOT_TAKEN, "taken", WAITING),
        (Standing.NO_PROCESS, "taken", WAITING),
        (Standing.NO_DAMON, "taken", FAILED),
    ],
)
@pytest.mark.parametrize("of_low", [True, False])
def test_what_keeps_a_pod_from_the_kernel_ends_the_list_and_is_named(
    standing, phase, outcome, of_low
):
    subject = Subject(told(standing, 1, hints=[Hint("R", "m", "do this")]), GONE)
    phases = found(subject, HIGH) if of_low else found(LOW, subject)
    name, last = list(phases.items())[-1]
    assert (name, last.outcome) == (phase, outcome)
    assert last.says == f"it is {standing}."
    assert last.action


def test_what_the_tuning_wants_not_to_be_taken_is_not_due():
    for standing in (Standing.SAFETY_LIMIT, Standing.ROLLING_OUT):
        phases = found(low(standing, (sample(1), sample(31))), over=True)
        assert phases["given up"].outcome is NOT_DUE
        assert phases["given up"].says == f"it is {standing}."
        assert passed(tuple(phases.values()))


def test_what_had_gone_before_the_node_was_held_has_gone():
    assert found(low(Standing.SAFETY_LIMIT))["given up"].outcome is HAPPENED


def test_full_swap_is_a_fault_of_the_node():
    phases = found(low(Standing.SWAP_FULL, (sample(1), sample(31))), over=True)
    assert phases["given up"].outcome is FAILED


def test_a_pod_of_a_node_that_is_held_is_not_protected_for_that():
    for standing in (Standing.SAFETY_LIMIT, Standing.SWAP_FULL):
        phases = found(LOW, Subject(told(standing, 75), HIGH.samples))
        assert phases["protected untouched"].outcome is NOT_DUE


def test_a_pod_that_no_plan_has_until_the_newest_spec_comes_is_waited_for():
    exempt = replace(told(Standing.ROLLING_OUT, 1), memory=None)
    phases = found(Subject(exempt, GONE))
    assert list(phases) == ["running", "planned"]
    assert phases["planned"].outcome is WAITING


def test_every_standing_is_judged():
    for standing in Standing:
        assert found(low(standing), HIGH, over=True)
        assert found(LOW, Subject(told(standing, 100), HIGH.samples), over=True)


def test_with_plenty_of_memory_it_waits_for_pressure_and_passes():
    phases = found(low(Standing.WAITING, (sample(),), mark=300))
    assert phases["given up"].outcome is NOT_DUE
    assert (
        phases["given up"].says == "waits for pressure: available 50.0 %, mark 30.0 % of the node"
    )
    assert passed(tuple(phases.values()))


def test_in_observe_nothing_has_to_go():
    phases = found(
        low(Standing.OBSERVED, (sample(),)), Subject(told(Standing.OBSERVED, 100), (sample(),))
    )
    assert phases["given up"].outcome is NOT_DUE
    assert phases["protected untouched"].outcome is HAPPENED
    assert passed(tuple(phases.values()))


def test_the_action_cold_takes_nothing_by_itself():
    expected = replace(EXPECTED, action="cold")
    assert found(low(samples=(sample(),)), expected=expected)["given up"].outcome is NOT_DUE


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        (low(samples=(sample(swap_max=0),)), "memory.swap.max of the pod is 0"),
        (low(samples=(sample(),), swappable=False), "its node has no swap"),
    ],
)
def test_without_swap_it_fails_at_once_and_says_what_to_do(subject, why):
    phase = found(subject)["given up"]
    assert phase.outcome is FAILED
    assert why in phase.says
    assert "NodeSwap" in phase.action


def test_of_little_swap_half_is_enough():
    said = [sample(20, cold_swap=7, swap_max=12 * MIB), sample(40, cold_swap=7, swap_max=12 * MIB)]
    phase = found(low(samples=said))["given up"]
    assert phase.outcome is HAPPENED
    assert "which allows 12 MiB here" in phase.says


def test_a_low_pod_in_a_protected_lane_is_a_failure():
    assert found(low(Standing.PROTECTED, (sample(),)))["given up"].outcome is FAILED


def test_hot_memory_that_went_is_a_failure_even_if_it_came_back():
    said = (sample(20, cold_swap=60, hot_swap=9), sample(40, cold_swap=60))
    assert found(low(samples=said))["hot stayed"].outcome is FAILED


def test_hot_memory_is_judged_some_time_after_cold_memory_has_gone():
    said = (sample(5), sample(20, cold_swap=60), sample(29, cold_swap=60))
    assert found(low(samples=said))["hot stayed"].outcome is WAITING


def test_memory_of_the_protected_pod_that_went_is_a_failure():
    phase = found(high=Subject(HIGH.explanation, (sample(40, cold_swap=30),)))
    assert phase["protected untouched"].outcome is FAILED
    assert "memory.min" in phase["protected untouched"].action


def test_where_no_annotation_protects_nothing_is_claimed():
    high = Subject(told(Standing.WAITING, 75), (sample(cold_swap=60),))
    assert found(high=high)["protected untouched"].outcome is NOT_DUE


@pytest.mark.parametrize(
    ("cold", "outcome"), [(None, WAITING), (20, WAITING), (70, HAPPENED), (99, WAITING)]
)
def test_what_the_agent_measured_has_to_be_about_right(cold, outcome):
    assert (
        found(high=Subject(told(Standing.PROTECTED, 100, cold=cold), HIGH.samples))[
            "measured"
        ].outcome
        is outcome
    )


@pytest.mark.parametrize(
    ("subject", "outcome", "says"),
    [
        (Subject(None, ()), FAILED, "deleted by somebody else"),
        (Subject(LOW.explanation, (), "Evicted: x", ended=True), FAILED, "Evicted: x"),
        (Subject(LOW.explanation, (), "ErrImagePull: no"), WAITING, "ErrImagePull: no"),
        (Subject(LOW.explanation, ()), WAITING, "said nothing yet"),
    ],
)
def test_pods_that_do_not_run_say_why(subject, outcome, says):
    (phase,) = found(subject).values()
    assert phase.outcome is outcome
    assert says in phase.says


SUBJECTS = st.builds(
    Subject,
    st.none()
    | st.builds(
        told,
        st.sampled_from(list(Standing)),
        st.integers(1, 100),
        cold=st.none() | st.integers(0, 99),
        mark=st.none() | st.integers(0, 1000),
        swappable=st.booleans(),
    ),
    st.lists(
        st.builds(
            sample,
            second=st.integers(1, 300),
            cold_swap=st.integers(0, 64),
            hot_swap=st.integers(0, 16),
            swap_max=st.none() | st.integers(0, 2**30),
        ),
        max_size=4,
    ).map(lambda said: tuple(sorted(said, key=lambda each: each.second))),
    ended=st.booleans(),
)


@given(SUBJECTS, SUBJECTS)
def test_nothing_is_left_open_when_the_time_is_over(low_, high):
    now, then = (verdict(low_, high, EXPECTED, over=over) for over in (False, True))
    assert [phase.name for phase in now] == [phase.name for phase in then]
    for before, after in zip(now, then, strict=True):
        assert after.outcome is (FAILED if before.outcome is WAITING else before.outcome)
        assert after.says
    assert not passed(now) or passed(then)
    assert passed(then) == all(phase.outcome in {HAPPENED, NOT_DUE} for phase in then)


def by_reclaim(standing, priority, *, takes="AllMemory", mark=None, **more):
    """Return how a pod stands on a node that memory.reclaim serves alone."""
    held = told(standing, priority, cold=None, **more)
    view = ReclaimView(takes, "Ladder", mark)
    why = {"unserved": "it is protected"} if standing is Standing.PROTECTED else {}
    served = {"memory_reclaim": None if why else view, **why}
    return replace(held, placement=replace(held.placement, lane=None, **served))


KEPT = Subject(by_reclaim(Standing.PROTECTED, 100), HIGH.samples)


def test_without_damon_cold_memory_goes_and_nothing_has_to_be_measured():
    phases = found(Subject(by_reclaim(Standing.EAGER, 1), GONE), KEPT)
    assert "DAMON's targets" not in phases["taken"].says
    assert "memory.reclaim serves their node" in phases["taken"].says
    assert phases["measured"].outcome is NOT_DUE
    assert phases["given up"].outcome is HAPPENED
    assert passed(tuple(phases.values()))


def test_without_damon_two_protected_pods_are_no_targets_either():
    phases = found(Subject(by_reclaim(Standing.PROTECTED, 100), (sample(),)), KEPT)
    assert "memory.reclaim serves their node" in phases["taken"].says


def test_where_only_page_cache_can_go_the_pods_of_the_check_keep_what_they_hold():
    kept = Subject(by_reclaim(Standing.EAGER, 1, takes="FilePages"), (sample(1), sample(31)))
    phases = found(kept, KEPT)
    assert phases["given up"].outcome is NOT_DUE
    assert "the pods of the check hold none" in phases["given up"].says
    assert passed(tuple(phases.values()))


def test_without_damon_and_swap_it_fails_as_it_does_with_damon():
    kept = by_reclaim(Standing.EAGER, 1, takes="FilePages", swappable=False)
    phase = found(Subject(kept, (sample(),)), KEPT)["given up"]
    assert phase.outcome is FAILED
    assert "NodeSwap" in phase.action


def test_without_damon_a_pod_of_the_ladder_waits_for_its_own_mark():
    waits = Subject(by_reclaim(Standing.WAITING, 50, mark=300), (sample(),))
    assert found(waits, KEPT)["given up"].says == (
        "waits for pressure: available 50.0 %, mark 30.0 % of the node"
    )


def test_hot_memory_that_went_without_damon_asks_for_damon():
    said = (sample(20, cold_swap=60, hot_swap=9), sample(40, cold_swap=60))
    phase = found(Subject(by_reclaim(Standing.EAGER, 1), said), KEPT)["hot stayed"]
    assert phase.outcome is FAILED
    assert "use a kernel that has it" in phase.action


def row(name, tuning, ready="True"):
    return NodeRow(name, "Enforce", ready, "Applied", 0, tuning)


def test_one_ready_node_of_each_tuning_is_chosen_three_at_most():
    rows = [row("n1", "a", "False"), row("n2", "a"), row("n3", "b", "False"), row("n4", "c")]
    assert one_per_tuning(rows) == ["n2", "n3", "n4"]
    assert len(one_per_tuning([*rows, row("n5", "d")])) == 3


def test_pods_ask_for_the_ends_of_what_owners_may():
    bounds = {"priorities": {"annotation": {"min": 30, "max": 70}}, "reclaim": {"action": "cold"}}
    here = spot("n1", "a", bounds)
    assert (here.low, here.high, here.action) == (30, 70, "cold")
    assert (spot("n1", "", {}).low, spot("n1", "", {}).high) == (1, 100)
