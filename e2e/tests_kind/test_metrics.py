"""What Prometheus gets of operator and agents, through the API server's proxy to their pods."""

from collections.abc import Iterator

import pytest
from harness.api import Api, Body, eventually
from harness.command import run
from harness.release import NAMESPACE, Release
from harness.workloads import Workloads, pod
from prometheus_client.parser import text_string_to_metric_families
from tests_kind.nodes import Node
from tests_kind.truth import Truth

Samples = dict[tuple[str, ...], float]
PORT = 8081


@pytest.fixture(name="metered")
def metered_fixture(tuning: Body, release: Release) -> Iterator[Release]:
    """The release with metrics on, and monitors wanted that this cluster does not know."""
    monitor = {"enabled": True}
    release.install(
        metrics={
            "enabled": True,
            "port": PORT,
            "serviceMonitor": monitor,
            "podMonitor": monitor,
        }
    )
    yield release
    release.install()


def _scrape(pod_name: str) -> Samples:
    """Return the samples of a pod, by name and the values of the labels in alphabetical order."""
    where = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod_name}:{PORT}/proxy/metrics"
    text = run(["kubectl", "get", "--raw", where])
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_scraped_is_what_the_nodes_and_their_status_say(
    metered: Release,
    workloads: Workloads,
    truth: Truth,
    nodes: dict[str, Node],
    workers: tuple[Node, Node],
    api: Api,
) -> None:
    workloads.start(
        pod("rung", workers[0].name, priority="40"),
        pod("kept", workers[0].name, class_name="critical"),
        pod("eager", workers[1].name, priority="10"),
    )
    truth.holds()
    agents = metered.agents()
    assert agents.keys() == nodes.keys()
    for name, node in nodes.items():

        def agreed(name: str = name, node: Node = node) -> Samples | None:
            """Metrics are of the last tick; a status may be ten seconds behind."""
            told = _scrape(agents[name]["metadata"]["name"])
            status = api.get("damonnodes", name)["status"]
            held = sum(len(lane.pids) for lane in node.observe().lanes)
            here = told["damon_agent_targets",] == status["targets"] == held
            return told if here else None

        told = eventually(f"targets of {name} are the same everywhere", agreed)
        status = api.get("damonnodes", name)["status"]
        for condition in status["conditions"]:
            holds = told["damon_agent_condition", condition["type"]]
            assert holds == (condition["status"] == "True"), condition
        for lane in status["lanes"]:
            kdamond = str(lane["kdamond"])
            assert told["damon_agent_kdamond_targets", kdamond] == lane["targets"]
        planned = [told[key] for key in told if key[0] == "damon_agent_pods"]
        assert sum(planned) == len(status["pods"])


def test_one_replica_leads_and_counts_all_nodes(
    metered: Release, nodes: dict[str, Node], api: Api
) -> None:
    def led() -> dict[str, Samples] | None:
        told = {
            p["metadata"]["name"]: _scrape(p["metadata"]["name"]) for p in metered.pods("operator")
        }
        leaders = [name for name, found in told.items() if found["damon_operator_leader",] == 1]
        return told if leaders == [metered.leader()] else None

    told = eventually("the holder of the lease says that it leads", led)
    assert len(told) == 2
    leader = metered.leader()

    def counted() -> bool:
        return _scrape(leader)["damon_operator_governed_nodes",] == len(nodes)

    eventually("every node is governed", counted)
    found = _scrape(leader)
    assert found["damon_operator_stream_objects", "damonnodes"] == len(api.get("damonnodes"))
    assert found["damon_operator_stream_objects", "damontunings"] == 1
    (standby,) = (samples for name, samples in told.items() if name != leader)
    assert standby == {("damon_operator_leader",): 0}
