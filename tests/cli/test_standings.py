"""How a pod stands, in one word and one sentence. Pure: raw objects in, an answer out."""

import cluster_objects as made
import pytest
from explained_pod import PLANNED, WEB, explained

from damon_cli.explain.explanation import Standing
from damon_cli.remedies import remedy
from damon_operator.facts import read_tuning

WINDOWS = {**made.node(), "metadata": {**made.node()["metadata"]}}
WINDOWS["metadata"]["labels"] = {"kubernetes.io/os": "windows"}


def waiting(before, *conditions, **newest):
    """Return a tuning of which a node has the spec `before`, and the label that says so."""
    stood = read_tuning(made.stored(made.tuning(**before))).spec.policy()
    raw = made.tuning(**{"mode": "Enforce", "rollout": {}, **newest})
    standing = stood.model_dump(mode="json", by_alias=True)
    raw["status"] = {"standing": standing, "conditions": list(conditions)}
    return raw, {"damon-operator.io/revision": stood.revision()}


def held_back(before, pod=WEB, *conditions, newest=None, **fields):
    """Return the case of a pod on a node that waits for the newest spec."""
    raw, labels = waiting(before, *conditions, **(newest or {}))
    seen = made.damon_node("n1", ("web", 60), mode=before["mode"], **fields)
    seen["metadata"]["labels"] = labels
    return {"pod": pod, "tunings": [raw], "damon_node": seen}


CASES = {
    Standing.NOT_SCHEDULED: ({"pod": made.prioritised("web", 60, node="")}, "has no node yet"),
    Standing.ENDED: ({"pod": made.pod("web", phase="Succeeded", runs=False)}, "has ended"),
    Standing.NOT_RUNNING: (
        {"pod": made.pod("web", phase="Pending", runs=False)},
        "none of its containers runs",
    ),
    Standing.NOT_GOVERNED: (
        {"pod": WEB, "tunings": [made.tuning(nodeSelector={"pool": "x"})]},
        "no DamonTuning selects its node n1",
    ),
    Standing.OFF: ({"pod": WEB, "tunings": [made.tuning(mode="Off")]}, "is Off"),
    Standing.NO_AGENT: ({"pod": WEB, "node": WINDOWS}, "without Linux"),
    Standing.EXEMPT: (
        {"pod": made.pod("web", namespace="kube-system")},
        "its namespace kube-system is exempt",
    ),
    Standing.NOT_FINDABLE: (
        {"pod": made.pod("web", id_text="odd://1234"), "damon_node": PLANNED},
        "are not 64 hex digits",
    ),
    Standing.NOT_PLANNED: ({"pod": WEB}, "has no plan yet"),
    Standing.LEFT_OUT: (
        {"pod": WEB, "damon_node": made.damon_node("n1", podsLeftOut=3)},
        "more pods than fit into a plan",
    ),
    Standing.AGENT_SILENT: (
        {"pod": WEB, "damon_node": made.damon_node("n1", ("web", 60), reported=False)},
        "is silent",
    ),
    Standing.NO_DAMON: (
        {
            "pod": WEB,
            "damon_node": made.damon_node(
                "n1", ("web", 60), ready=("False", "DamonBusy"), available="DamonBusy"
            ),
        },
        "DAMON cannot be used on n1 (so it is)",
    ),
    Standing.NOT_TAKEN: (
        {
            "pod": WEB,
            "damon_node": made.damon_node("n1", ("web", 60), figures={"web": {"kdamond": None}}),
        },
        "not in the kernel of n1 yet",
    ),
    Standing.NO_PROCESS: (
        {
            "pod": WEB,
            "damon_node": made.damon_node("n1", ("web", 60), figures={"web": {"processes": 0}}),
        },
        "finds no process of it",
    ),
    Standing.OBSERVED: (
        {
            "pod": WEB,
            "tunings": [made.tuning()],
            "damon_node": made.damon_node("n1", ("web", 60), mode="Observe"),
        },
        (
            "in mode Observe nothing is reclaimed; in mode Enforce its cold memory would be "
            "paged out once less than 40.0 %"
        ),
    ),
    Standing.ROLLING_OUT: (
        held_back({"mode": "Observe"}),
        (
            "once less than 40.0 % of n1's memory is available; 50.0 % is available now; "
            "n1 waits for the newest spec of dt/default, which goes from node to node, "
            "and by that it may be reclaimed."
        ),
    ),
    Standing.SAFETY_LIMIT: (
        {
            "pod": WEB,
            "damon_node": made.damon_node("n1", ("web", 60), ready=("True", "SafetyLimit")),
        },
        "nothing is taken on n1 for now, because it is over a limit of spec.safety (so it is).",
    ),
    Standing.SWAP_FULL: (
        {
            "pod": WEB,
            "damon_node": made.damon_node("n1", ("web", 60), ready=("True", "SwapFull")),
        },
        "nothing is taken on n1 until some of its swap is free again, because it is used up.",
    ),
    Standing.SPARED: (
        {
            "pod": WEB,
            "damon_node": made.damon_node(
                "n1",
                ("web", 60),
                figures={"web": {"spared": {"until": made.TIME, "cause": "Refaults"}}},
            ),
        },
        "spared until 2026-01-01T00:00:00Z at least, because too much of what was swapped out",
    ),
    Standing.PROTECTED: (
        {"pod": made.prioritised("database", 90), "damon_node": PLANNED},
        "from 80 on a pod is protected, so it is watched and never reclaimed",
    ),
    Standing.EAGER: (
        {
            "pod": made.prioritised("ci", 10),
            "damon_node": made.damon_node("n1", ("ci", 10), lanes={10: {"active": True}}),
        },
        "is paged out at once, however much memory is available",
    ),
    Standing.WAITING: (
        {"pod": WEB, "damon_node": PLANNED},
        (
            "once less than 40.0 % of n1's memory is available; 50.0 % is available now, so "
            "nothing is taken; shop/report (40) goes before it."
        ),
    ),
    Standing.RECLAIMED: (
        {
            "pod": WEB,
            "damon_node": made.damon_node(
                "n1", ("web", 60), available_bytes=made.GIB, lanes={60: {"active": True}}
            ),
        },
        "is being paged out, because less than 40.0 % of n1's memory is available; 6.2 % is",
    ),
}


@pytest.mark.parametrize("standing", list(Standing))
def test_every_standing_has_its_plain_sentence(standing):
    case, words = CASES[standing]
    told = explained(**case)
    assert told.standing is standing, told.sentence
    assert words in told.sentence
    assert told.sentence.endswith(".")
    assert "None" not in told.sentence


def test_a_pod_of_a_node_that_waits_for_a_changed_tuning_is_explained_by_what_stood_before():
    """Its plan is made by that, and so is the answer."""
    case = held_back({"mode": "Enforce"}, made.pod("web"), newest={"priorities": {"default": 70}})
    told = explained(**case)
    assert told.priority == 50
    assert told.standing is Standing.WAITING, "it is reclaimed as before"
    assert "; n1 waits for the newest spec of dt/default" in told.sentence
    (hint,) = [hint for hint in told.hints if hint.reason == "RollingOut"]
    assert hint.message.startswith("n1 has the spec before the newest of dt/default: ")
    newest = read_tuning(made.stored(case["tunings"][0])).revision
    case["damon_node"]["metadata"]["labels"] = {"damon-operator.io/revision": newest}
    told = explained(**case)
    assert told.priority == 70
    assert "RollingOut" not in {hint.reason for hint in told.hints}
    assert "waits for the newest" not in told.sentence


EXEMPTING = {"exemptNamespaces": ["shop"]}


@pytest.mark.parametrize(
    ("before", "newest", "standing", "words"),
    [
        ({"mode": "Off"}, {}, Standing.ROLLING_OUT, "the tuning that governs n1 is Off; n1 waits"),
        ({"mode": "Off"}, {"mode": "Observe"}, Standing.OFF, "is Off; n1 waits"),
        ({"mode": "Observe"}, {"protectFrom": 60}, Standing.OBSERVED, "now; n1 waits"),
        ({"mode": "Observe"}, {"priorities": EXEMPTING}, Standing.OBSERVED, "now; n1 waits"),
        (
            {"mode": "Enforce", "priorities": EXEMPTING},
            {},
            Standing.ROLLING_OUT,
            "it is neither watched nor reclaimed; n1 waits",
        ),
        (
            {"mode": "Enforce", "protectFrom": 60},
            {},
            Standing.ROLLING_OUT,
            "watched and never reclaimed; n1 waits",
        ),
        (
            {"mode": "Enforce", "protectFrom": 60},
            {"mode": "Observe"},
            Standing.PROTECTED,
            "watched and never reclaimed; n1 waits",
        ),
    ],
)
def test_a_rollout_is_the_standing_where_it_alone_keeps_a_pod_from_being_reclaimed(
    before, newest, standing, words
):
    settings = {"settings": {"protectFrom": before.get("protectFrom", 80)}}
    told = explained(**held_back(before, newest=newest, **settings))
    assert told.standing is standing
    assert words in told.sentence
    to_come = "and by that it may be reclaimed" in told.sentence
    assert to_come == (standing is Standing.ROLLING_OUT)


@pytest.mark.parametrize(
    ("reason", "words"),
    [("RolloutHalted", "has halted on its way"), ("RolloutPaused", "is paused on its way")],
)
def test_a_pod_that_waits_says_whether_the_rollout_goes_on(reason, words):
    so_far = made.condition("RolledOut", "False", reason, "3 of 12 nodes have it")
    told = explained(**held_back({"mode": "Observe"}, WEB, so_far))
    assert f"n1 waits for the newest spec of dt/default, which {words}" in told.sentence
    (hint,) = [hint for hint in told.hints if hint.reason == reason]
    assert hint.message.endswith(": 3 of 12 nodes have it")
    assert hint.action == remedy(reason).action


@pytest.mark.parametrize(
    "pod",
    [
        made.prioritised("web", 60, node=""),
        made.pod("web", phase="Succeeded", runs=False),
        made.pod("web", phase="Pending", runs=False),
    ],
    ids=["no node", "ended", "not running"],
)
def test_a_pod_with_nothing_to_plan_waits_for_no_rollout(pod):
    case = held_back({"mode": "Observe"}, pod)
    where = "there" if pod["spec"].get("nodeName") else None
    assert "waits for" not in explained(node=where, **case).sentence


HELD = ["SafetyLimit", "SwapFull"]


@pytest.mark.parametrize("reason", HELD)
def test_what_holds_all_lanes_of_a_node_is_named(reason):
    held = made.damon_node("n1", ("web", 60), ready=("True", reason))
    (hint,) = [hint for hint in explained(WEB, damon_node=held).hints if hint.reason == reason]
    assert hint.message.startswith("n1: ")


@pytest.mark.parametrize("reason", HELD)
def test_what_is_never_reclaimed_is_not_held(reason):
    held = made.damon_node("n1", ("web", 60), ("database", 90), ready=("True", reason))
    told = explained(made.prioritised("database", 90), damon_node=held)
    assert told.standing is Standing.PROTECTED


@pytest.mark.parametrize("reason", HELD)
def test_a_node_that_is_held_comes_before_a_pod_that_is_spared(reason):
    spared = {"web": {"spared": {"until": made.TIME, "cause": "Refaults"}}}
    held = made.damon_node("n1", ("web", 60), ready=("True", reason), figures=spared)
    assert explained(WEB, damon_node=held).standing == reason
