import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damon_contract.v1alpha1.node import MAX_PODS, DamonNodeSpec
from damon_operator.facts import Container, Namespace, Part, spec_digest
from damon_operator.planner.plan import plan, wire
from damon_operator.planner.priorities import NoteReason
from damon_operator.planner.selection import ranked

quick = settings(max_examples=60, deadline=None)


def planned(tunings, node, pods, namespaces=None) -> DamonNodeSpec:
    spec = plan(ranked(tunings), node, pods, namespaces or {}).spec
    assert spec is not None
    return spec


def test_a_node_without_a_tuning_has_no_plan(tuning, node, pod):
    elsewhere = tuning(nodeSelector={"pool": "gpu"})
    assert plan(ranked([elsewhere]), node(), [pod()], {}).spec is None


def test_mode_off_plans_no_pods(tuning, node, pod):
    spec = planned([tuning(mode="Off")], node(), [pod()])
    assert (spec.mode, spec.pods) == ("Off", ())


def test_the_plan_carries_what_the_agent_needs(tuning, node, pod):
    governor = tuning("gold", mode="Enforce", protectFrom=90)
    spec = planned([governor], node(reserved_bytes=77), [pod(asked=30)])
    assert (spec.tuning, spec.mode, spec.reserved_bytes) == ("gold", "Enforce", 77)
    assert spec.settings.protect_from == 90
    (entry,) = spec.pods
    assert (entry.namespace, entry.name, entry.priority, entry.source) == (
        "default", "web", 30, "annotation",
    )  # fmt: skip
    assert len(entry.containers[0].id) == 64


@pytest.mark.parametrize("facts", [{"phase": "Pending"}, {"phase": "Failed"}, {"containers": ()}])
def test_a_pod_that_runs_nothing_is_in_no_plan(tuning, node, pod, facts):
    assert planned([tuning()], node(), [pod(**facts)]).pods == ()


def test_a_container_that_cannot_be_found_is_counted_and_named_and_the_others_are_planned(
    tuning, node, pod
):
    pods = [pod("half", unknown=("odd", "strange")), pod("none", containers=(), unknown=("odd",))]
    found = plan(ranked([tuning()]), node(), pods, {})
    assert [p.name for p in found.spec.pods] == ["half"]
    assert found.pods["container_unknown"] == 3
    assert [(note.name, note.note.reason) for note in found.notes] == [
        ("half", NoteReason.CONTAINER_UNKNOWN),
        ("none", NoteReason.CONTAINER_UNKNOWN),
    ]
    assert "odd, strange" in found.notes[0].note.message


def test_the_containers_of_an_exempt_pod_may_have_any_id(tuning, node, pod):
    found = plan(ranked([tuning()]), node(), [pod(exempt=True, unknown=("odd",))], {})
    assert (found.pods, found.notes) == ({"exempt": 1}, ())


def test_a_node_that_can_have_no_agent_has_no_plan(tuning, node, pod):
    windows = node()._replace(agentless="NotLinux")
    found = plan(ranked([tuning()]), windows, [pod()], {})
    assert (found.spec, found.agentless, found.matching) == (None, "NotLinux", ("all",))


@pytest.mark.parametrize(
    ("phases", "reported", "planned"),
    [
        ([], False, True),
        (["Pending"], False, False),
        (["Running"], False, True),
        (["Pending", "Running"], False, True),
        (["Pending"], True, True),
    ],
)
def test_the_first_plan_comes_when_the_agent_has_started(
    tuning, node, pod, phases, reported, planned
):
    agents = [pod(f"a{i}", phase=phase, part=Part.AGENT) for i, phase in enumerate(phases)]
    found = plan(ranked([tuning()]), node(), [pod(), *agents], {}, reported=reported)
    assert (found.spec is not None) == planned
    assert found.agentless == ("" if planned else "AgentNotStarted")


def test_beyond_512_pods_the_most_important_are_left_out(tuning, node, pod):
    pods = [pod(f"p{i:04}", asked=1 + i % 100) for i in range(MAX_PODS + 10)]
    spec = planned([tuning()], node(), pods)
    assert (len(spec.pods), spec.pods_left_out) == (MAX_PODS, 10)
    kept = {p.name for p in spec.pods}
    out = [p for p in pods if p.name not in kept]
    assert min(p.asked for p in out) >= max(p.priority for p in spec.pods)
    assert [p.name for p in spec.pods] == sorted(kept)


def test_an_id_claimed_twice_goes_to_the_more_important_pod(tuning, node, pod):
    twin = (Container("c", bytes(32)),)
    pods = [pod("low", asked=10, containers=twin), pod("high", asked=60, containers=twin)]
    spec = planned([tuning()], node(), pods)
    assert [p.name for p in spec.pods] == ["high"]


def test_counts_say_how_the_pods_got_their_priority(tuning, node, pod):
    pods = [
        pod("a", asked=30),
        pod("b", asked=1),
        pod("c", priority=10, priority_class="x"),
        pod("d"),
        pod("e", exempt=True),
        pod("f", phase="Pending"),
    ]
    governor = tuning(priorities={"annotation": {"min": 20}})
    counts = plan(ranked([governor]), node(), pods, {}).pods
    assert counts == {
        "annotation": 2, "clamped": 1, "priority_class": 1, "default": 1, "exempt": 1,
    }  # fmt: skip


few_ids = st.integers(0, 5).map(lambda n: bytes([n]) * 32)
some_pods = st.lists(
    st.fixed_dictionaries(
        {
            "namespace": st.sampled_from(["a", "b", "kube-system"]),
            "asked": st.none() | st.integers(1, 100),
            "exempt": st.booleans(),
            "phase": st.sampled_from(["Running", "Running", "Pending"]),
            "containers": st.lists(
                st.builds(Container, st.sampled_from(["x", "y"]), few_ids), max_size=3
            ).map(tuple),
        }
    ),
    max_size=8,
)


@quick
@given(facts=some_pods, data=st.data())
def test_the_order_of_pods_and_tunings_does_not_matter(tuning, node, pod, facts, data):
    pods = [pod(f"p{i}", **each) for i, each in enumerate(facts)]
    tunings = [tuning("a", precedence=1), tuning("b", precedence=1), tuning("c", mode="Off")]
    first = plan(ranked(tunings), node(), pods, {})
    shuffled = data.draw(st.permutations(pods))
    again = plan(ranked(data.draw(st.permutations(tunings))), node(), shuffled, {})
    assert again == first


@quick
@given(facts=some_pods)
def test_a_container_id_is_planned_once(tuning, node, pod, facts):
    pods = [pod(f"p{i}", **each) for i, each in enumerate(facts)]
    spec = planned([tuning()], node(), pods)
    ids = [container.id for entry in spec.pods for container in entry.containers]
    assert len(ids) == len(set(ids))
    assert all(entry.containers for entry in spec.pods)


@quick
@given(some=some_pods, other=some_pods, reserved=st.integers(0, 1))
def test_the_hash_changes_if_and_only_if_the_content_does(tuning, node, pod, some, other, reserved):
    one = planned([tuning()], node(), [pod(f"p{i}", **f) for i, f in enumerate(some)])
    two = planned(
        [tuning()],
        node(reserved_bytes=reserved),
        [pod(f"p{i}", **f) for i, f in enumerate(other)],
    )
    same = one.model_copy(update={"hash": ""}) == two.model_copy(update={"hash": ""})
    assert (one.hash == two.hash) == same


def test_the_hash_can_be_computed_from_what_the_api_server_stores(tuning, node, pod):
    spec = planned([tuning(reclaim={"quota": {"bytes": "64Mi"}})], node(), [pod()])
    assert spec_digest(wire(spec)) == spec.hash
    assert DamonNodeSpec.model_validate(wire(spec)) == spec


def test_every_setting_and_fact_of_a_pod_is_in_the_hash(tuning, node, pod):
    plain = pod()
    variants = [
        planned([tuning()], node(), [plain]),
        planned([tuning(mode="Enforce")], node(), [plain]),
        planned([tuning("other")], node(), [plain]),
        planned([tuning(watermarks={"ceilingPermille": 500})], node(), [plain]),
        planned([tuning()], node(reserved_bytes=1), [plain]),
        planned([tuning()], node(), [plain._replace(uid="other")]),
        planned([tuning()], node(), [plain._replace(asked=51)]),
        planned([tuning()], node(), [plain._replace(containers=(Container("c", bytes(32)),))]),
        planned([tuning()], node(), [plain, pod("second")]),
    ]
    for one, two in itertools.combinations(variants, 2):
        assert one.hash != two.hash


def test_labels_of_the_pods_namespace_reach_the_rules(tuning, node, pod):
    rules = [{"namespaceSelector": {"matchLabels": {"team": "a"}}, "priority": 9}]
    spec = planned(
        [tuning(priorities={"rules": rules})],
        node(),
        [pod()],
        {"default": Namespace("default", (("team", "a"),))},
    )
    assert spec.pods[0].priority == 9
