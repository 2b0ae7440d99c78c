import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damon_contract.v1alpha1.tuning import AnnotationBounds
from damon_operator.facts import ReportedCondition, Written
from damon_operator.planner.status import tuning_status
from damon_operator.planner.tally import Tallies, Tally, agentless_row, row

NOW = "2026-01-01T00:00:00Z"


def written(*conditions: tuple[str, str, str], observed: str = "h") -> Written:
    listed = tuple(ReportedCondition(*each) for each in conditions)
    return Written("n", "u", "h", "h", "nu", observed, listed)


def of(node: str, report: Written | None, *, matching=("all",), pods=None, failure=""):
    return row(node, matching, pods or {}, "h", report, failure=failure)


FINE = written(("DamonAvailable", "True", "Available"), ("Applied", "True", "Applied"))
BUSY = written(("DamonAvailable", "False", "DamonBusy"), ("Degraded", "True", "DamonBusy"))
NO_DAMON = written(("DamonAvailable", "False", "NoDamon"), ("Applied", "False", "NoDamon"))


def status(tuning, *rows):
    tallies = Tallies()
    for each in rows:
        tallies.put(each.node, each)
    return tuning_status(tuning, tallies.of(tuning.name), now=NOW)


def condition(of_status, kind):
    return next(c for c in of_status.conditions if c.type == kind)


def test_ready_once_every_governed_node_carries_out_its_plan(tuning):
    half = status(tuning(), of("a", FINE), of("b", None))
    assert condition(half, "Ready").status == "False"
    assert (half.nodes.governed, half.nodes.applied, half.nodes.unreported) == (2, 1, 1)
    assert [(r.reason, r.nodes, r.example) for r in half.reasons] == [("NoReport", 1, "b")]
    whole = status(tuning(), of("a", FINE), of("b", FINE))
    assert (condition(whole, "Ready").status, condition(whole, "Ready").reason) == (
        "True", "Applied",
    )  # fmt: skip


def test_a_node_whose_agent_speaks_of_an_older_plan_is_not_applied(tuning):
    behind = FINE._replace(observed_hash="older")
    found = status(tuning(), of("a", behind))
    assert found.nodes.applied == 0
    assert found.reasons[0].reason == "PlanPending"
    assert condition(found, "Ready").reason == "PlanPending"


NO_SWAP = written(
    ("DamonAvailable", "True", "Available"),
    ("Applied", "True", "Applied"),
    ("Degraded", "True", "NoSwap"),
)


def test_ready_means_the_same_of_a_tuning_as_of_its_nodes(tuning):
    """What limits nodes that carry out their plan is told, and takes Ready from neither."""
    found = status(tuning(), *(of(name, NO_SWAP) for name in "abc"))
    ready, degraded = condition(found, "Ready"), condition(found, "Degraded")
    assert (ready.status, ready.reason) == ("True", "NoSwap")
    assert "NoSwap on 3 (such as a)" in ready.message
    assert (degraded.status, degraded.reason) == ("True", "NoSwap")


def test_a_tuning_is_not_ready_for_the_reason_of_those_nodes_that_are_not(tuning):
    found = status(tuning(), of("a", NO_SWAP), of("b", NO_SWAP), of("c", BUSY))
    ready = condition(found, "Ready")
    assert (ready.status, ready.reason) == ("False", "DamonBusy")
    assert "NoSwap" not in ready.message


def test_degraded_and_unsupported_nodes_are_counted_with_their_reasons(tuning):
    found = status(tuning(), of("a", BUSY), of("b", BUSY), of("c", NO_DAMON), of("d", FINE))
    assert (found.nodes.degraded, found.nodes.unsupported, found.nodes.applied) == (2, 1, 1)
    degraded = condition(found, "Degraded")
    assert (degraded.status, degraded.reason) == ("True", "DamonBusy")
    assert [(r.reason, r.nodes) for r in found.reasons] == [("DamonBusy", 2), ("NoDamon", 1)]


def test_a_plan_that_cannot_be_written_is_a_reason(tuning):
    found = status(tuning(), of("a", FINE, failure="WriteFailed"))
    assert found.reasons[0].reason == "WriteFailed"


def test_a_node_whose_plan_cannot_be_computed_is_not_applied_whatever_its_agent_says(tuning):
    found = status(tuning(), of("a", FINE, failure="PlanFailed"))
    assert (condition(found, "Ready").status, found.nodes.applied) == ("False", 0)
    assert "PlanFailed on 1 (such as a)" in condition(found, "Ready").message


def test_nodes_without_an_agent_have_a_count_of_their_own_and_do_not_keep_it_from_ready(tuning):
    rows = [agentless_row(name, ("all",), "NotLinux") for name in ("w1", "w2")]
    found = status(tuning(), of("a", FINE), *rows)
    assert condition(found, "Ready").status == "True"
    assert "2 nodes without an agent have no plan: NotLinux on 2 (such as w1)" in (
        condition(found, "Ready").message
    )
    assert (found.nodes.matched, found.nodes.governed, found.nodes.agentless) == (3, 1, 2)
    assert [(r.reason, r.nodes, r.example) for r in found.reasons] == [("NotLinux", 2, "w1")]
    for kind in ("Overridden", "Degraded"):
        assert condition(found, kind).status == "False"


def test_a_tuning_of_nodes_without_an_agent_only_is_not_ready(tuning):
    found = status(tuning(), agentless_row("w", ("all",), "NotLinux"))
    assert (condition(found, "Ready").status, condition(found, "Ready").reason) == (
        "False", "NoNodes",
    )  # fmt: skip
    assert "NotLinux" in condition(found, "Ready").message


def test_containers_that_cannot_be_found_are_a_reason_of_their_node(tuning):
    found = status(tuning(), of("a", FINE, pods={"container_unknown": 2}))
    assert found.pods.container_unknown == 2
    assert found.reasons[0].reason == "ContainerUnknown"


def test_an_overridden_tuning_names_the_winner(tuning):
    both = ("gold", "all")
    rows = [of("a", FINE, matching=both), of("b", FINE, matching=both)]
    lost = status(tuning("all"), *rows)
    assert condition(lost, "Overridden").reason == "Overridden"
    assert "gold (2)" in condition(lost, "Overridden").message
    assert condition(lost, "Ready").reason == "Overridden"
    partly = status(tuning("all"), *rows, of("c", FINE))
    assert condition(partly, "Overridden").reason == "PartlyOverridden"
    assert condition(partly, "Ready").status == "True"
    winner = status(tuning("gold"), *rows)
    assert condition(winner, "Overridden").status == "False"


def test_a_tuning_that_matches_no_node_says_so(tuning):
    found = status(tuning())
    assert condition(found, "Ready").reason == "NoNodes"


def test_an_invalid_tuning_says_what_is_wrong_and_what_that_means(tuning):
    broken = tuning()._replace(spec=None, problem="spec.mode: bad")
    valid = condition(status(broken), "Valid")
    assert (valid.status, valid.reason) == ("False", "Invalid")
    assert "spec.mode: bad" in valid.message
    assert "takes no part" in valid.message
    kept = tuning()._replace(problem="spec.mode: bad")
    found = status(kept, of("a", FINE))
    assert "last valid spec stays in force" in condition(found, "Valid").message
    assert condition(found, "Ready").reason == "Invalid"


@pytest.mark.parametrize(
    ("bounds", "policy", "differs"),
    [
        ({}, {}, False),
        ({}, None, False),
        ({"max": 75}, {}, True),
        ({"max": 75}, {"max": 75, "exempt": False}, False),
        ({"max": 75}, {"max": 75, "exempt": True}, True),
        ({"min": 5}, {"min": 10}, True),
    ],
)
def test_bounds_other_than_those_of_the_admission_policy_are_told(tuning, bounds, policy, differs):
    held = tuning(priorities={"annotation": bounds})
    judged = None if policy is None else AnnotationBounds.model_validate(policy)
    found = condition(tuning_status(held, Tally(), now=NOW, policy=judged), "Valid")
    assert (found.status, found.reason) == ("True", "PolicyDiffers" if differs else "Valid")
    assert ("policies.annotations of the chart" in found.message) == differs


def test_pods_are_summed_over_nodes(tuning):
    one, two = {"annotation": 2}, {"annotation": 1, "exempt": 4}
    found = status(tuning(), of("a", FINE, pods=one), of("b", FINE, pods=two))
    assert (found.pods.annotation, found.pods.exempt, found.pods.rule) == (3, 4, 0)


def test_transition_times_move_only_when_a_condition_does(tuning):
    first = status(tuning(), of("a", None))
    later = "2026-02-02T00:00:00Z"
    tallies = Tallies()
    tallies.put("a", of("a", FINE))
    second = tuning_status(tuning()._replace(status=first), tallies.of("all"), now=later)
    assert condition(second, "Ready").last_transition_time == later
    assert condition(second, "Valid").last_transition_time == NOW


with_agent = st.builds(
    of,
    st.sampled_from("abc"),
    st.sampled_from([None, FINE, BUSY, NO_DAMON]),
    matching=st.sampled_from([("x",), ("x", "y"), ("y", "x"), ("z", "x", "y")]),
    pods=st.dictionaries(st.sampled_from(["annotation", "rule"]), st.integers(1, 3)),
)


without_agent = st.builds(
    agentless_row,
    st.sampled_from("abc"),
    st.sampled_from([("x",), ("y", "x")]),
    st.sampled_from(["NotLinux", "VirtualNode"]),
)


@settings(max_examples=80, deadline=None)
@given(changes=st.lists(with_agent | without_agent, max_size=12))
def test_tallies_kept_up_to_date_equal_tallies_counted_anew(changes):
    kept, last = Tallies(), {}
    for change in changes:
        kept.put(change.node, change)
        last[change.node] = change
    anew = Tallies()
    for change in last.values():
        anew.put(change.node, change)
    for name in "xyz":
        one, two = kept.of(name), anew.of(name)
        assert +one.pods == +two.pods
        assert +one.winners == +two.winners
        assert {r: set(n) for r, n in one.reasons.items()} == {
            r: set(n) for r, n in two.reasons.items()
        }
        assert one.agentless_reasons.keys() == two.agentless_reasons.keys()
        assert {r: set(n) for r, n in one.unready.items()} == {
            r: set(n) for r, n in two.unready.items()
        }
        assert one.agentless == two.agentless
        assert (one.matched, one.governed, one.applied, one.degraded, one.unreported) == (
            two.matched, two.governed, two.applied, two.degraded, two.unreported,
        )  # fmt: skip
    for node in last:
        kept.put(node, None)
    assert kept.of("x") == kept.of("y") == kept.of("z") == Tally()


def test_only_the_tunings_of_a_changed_row_are_touched():
    tallies = Tallies()
    assert tallies.put("a", of("a", None, matching=("x", "y"))) == {"x", "y"}
    assert tallies.put("a", of("a", None, matching=("x", "y"))) == frozenset()
    assert tallies.put("a", of("a", FINE, matching=("z",))) == {"x", "y", "z"}
    assert tallies.put("a", None) == {"z"}
