"""The sums of `report`, and what it says of them. Pure."""

import cluster_objects as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damon_cli.damon_node import DamonNode
from damon_cli.report.account import PodMemory, account, pods_memory
from damon_cli.report.knowledge import report
from damon_cli.report.pod_resources import limit_bytes, requested_bytes

GIB, MIB = 2**30, 2**20
SIZES = st.none() | st.integers(0, 2**60)
PODS = st.builds(
    PodMemory,
    namespace=st.sampled_from(["shop", "build", "web"]),
    workload=st.sampled_from(["deployment/a", "job/b"]),
    requested_bytes=st.integers(0, 2**60),
    limit_bytes=SIZES,
    working_set_bytes=SIZES,
    priority=st.none() | st.integers(1, 100),
    min_age=st.sampled_from(["24s", "10m"]),
    cold_bytes=SIZES,
    given_up_bytes=SIZES,
)
EXACT = ("pods", "planned", "measured", "requested_bytes", "limit_bytes", "unlimited")
KNOWN = ("working_set_bytes", "cold_bytes", "given_up_bytes")


@given(st.lists(PODS, max_size=30))
def test_each_way_to_add_up_holds_every_pod_once(pods):
    sums = account(pods)
    for groups in (sums.namespaces, sums.workloads, sums.priorities):
        for name in (*EXACT, *KNOWN):
            of_groups = [getattr(group, name) for group in groups]
            assert sum(size or 0 for size in of_groups) == (getattr(sums.total, name) or 0), name
    assert sums.total.requested_bytes == sum(pod.requested_bytes for pod in pods)
    assert sum(age.cold_bytes for age in sums.ages) == (sums.total.cold_bytes or 0)
    assert sum(age.pods for age in sums.ages) == sums.total.measured


@given(st.lists(PODS, max_size=10))
def test_what_is_known_of_no_pod_is_not_zero(pods):
    total = account(pods).total
    for name in KNOWN:
        unknown = all(getattr(pod, name) is None for pod in pods)
        assert (getattr(total, name) is None) == unknown


def sized(name, requests=None, limits=None, **more):
    resources = {"requests": {"memory": requests}} if requests else {}
    resources |= {"limits": {"memory": limits}} if limits else {}
    return made.pod(name, containers=[{"name": "main", "resources": resources}], **more)


def container(size, **more):
    return {"resources": {"requests": {"memory": size}, "limits": {"memory": size}}, **more}


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ({"containers": [container("1Gi"), container("512Mi")]}, 1536 * MIB),
        ({"containers": [container("1Gi")], "initContainers": [container("3Gi")]}, 3 * GIB),
        (
            {
                "containers": [container("1Gi")],
                "initContainers": [container("1Gi", restartPolicy="Always"), container("2Gi")],
            },
            3 * GIB,
        ),
        ({"containers": [container("1Gi")], "overhead": {"memory": "1Gi"}}, 2 * GIB),
        ({"containers": [{}], **container("4Gi")}, 4 * GIB),
    ],
)
def test_a_request_is_counted_as_the_scheduler_counts_it(spec, size):
    assert requested_bytes({"spec": spec}) == limit_bytes({"spec": spec}) == size


def test_a_pod_with_one_container_without_limit_has_no_limit():
    pod = {"spec": {"containers": [container("1Gi"), {}]}}
    assert (requested_bytes(pod), limit_bytes(pod)) == (GIB, None)


def seen(*pods, **more):
    return DamonNode.of(made.damon_node("n1", *pods, **more))


def told(raw_pods, *nodes, working_sets=None):
    found = pods_memory(
        raw_pods, nodes, working_sets or {}, lambda p: f"job/{p['metadata']['name']}"
    )
    return report(account(found), nodes, "2026-01-01T00:00:00Z")


FIGURES = {"web": {"coldBytes": 61 * MIB}}


def test_the_sentence_says_what_is_requested_resident_and_cold():
    answer = told(
        [sized("web", "412Mi")],
        seen(("web", 60), figures=FIGURES),
        working_sets={"shop/web": 180 * MIB},
    )
    assert answer.sentence == (
        "Of 412 MiB requested 180 MiB are resident and 61 MiB were not touched for 24s."
    )
    assert answer.total.cold_of_requested_permille == 148


def test_what_is_not_measured_is_said_and_not_counted():
    pods = [sized("web", "1Gi"), sized("api", "1Gi"), sized("tool", "1Gi")]
    answer = told(pods, seen(("web", 60), ("api", 60), figures=FIGURES))
    assert "as far as it is known: of 1 of 3 pods" in answer.sentence
    unknown = "\n".join(answer.unknown)
    assert "1 of 3 pods are in no plan" in unknown
    assert "Of 1 of 2 planned pods nothing is measured" in unknown
    assert "no answer from metrics-server" in unknown
    assert [each.name for each in answer.priorities] == ["60", "in no plan"]


def test_figures_of_a_silent_agent_are_left_out():
    answer = told(
        [sized("web", "1Gi")], seen(("web", 60), figures=FIGURES, ready=("Unknown", "AgentSilent"))
    )
    assert answer.total.cold_bytes is None
    assert "it is not known how much is cold: no agent has measured any yet." in answer.sentence
    assert "Agents of 1 nodes are silent, and left out: n1." in answer.unknown


def test_without_damon_nothing_is_said_to_be_measured_later():
    served = DamonNode.of(made.without_damon(("web", 60)))
    answer = told([sized("web", "1Gi")], served)
    assert answer.sentence.endswith(
        "not known how much is cold: DAMON, which measures it, cannot be used on any of the nodes."
    )
    both = told([sized("web", "1Gi"), sized("api", "1Gi")], served, seen(("api", 60)))
    assert both.sentence.endswith("no agent has measured any yet.")


def test_pods_that_hold_no_memory_of_a_node_do_not_count():
    pods = [sized("done", "1Gi", phase="Succeeded"), sized("waits", "1Gi", node=""), sized("web")]
    assert told(pods).total.pods == 1
