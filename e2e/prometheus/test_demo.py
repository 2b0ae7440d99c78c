"""Dashboard and alerts ask for what is told: put to a real Prometheus that watches the demo.

Grafana itself is not to be had where this project is built: how its panels look is not tested.
"""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_tools import tool

ROOT = Path(__file__).parents[2]
FILES = ROOT / "helm/damon-operator/files"
NODES = ("node-a", "node-b")
PATIENCE_S = 240.0
"""Cold bytes come with a survey, refaults with the second look at a pod: both take a minute."""


class Watched(NamedTuple):
    """The demo, and the Prometheus that watches it."""

    first: int
    """Port of the operator's metrics; the agents' follow."""
    web: int
    """Port of Prometheus."""

    def ask(self, path: str, **values: str) -> Any:
        """Return the answer of Prometheus' API."""
        query = urllib.parse.urlencode(values)
        url = f"http://127.0.0.1:{self.web}{path}?{query}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression has now; an empty list while nobody answers."""
        try:
            return self.ask("/api/v1/query", query=expression)["result"]
        except OSError:
            return []

    def value(self, expression: str) -> float:
        """Return the one value of an expression, 0 if it has none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else 0.0


def dashboard() -> dict[str, Any]:
    return json.loads((FILES / "dashboard.json").read_text())


def shown() -> list[tuple[str, str]]:
    """Return each query of the dashboard with the title of its panel, for all nodes."""
    return [
        (panel["title"], target["expr"].replace("$node", ".*"))
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    ]


def free_ports(number: int) -> int:
    """Return the first of so many free ports in a row."""
    while True:
        held = []
        try:
            held.append(socket.create_server(("127.0.0.1", 0)))
            first = held[0].getsockname()[1]
            held += [socket.create_server(("127.0.0.1", first + n)) for n in range(1, number)]
        except (OSError, OverflowError):
            continue
        finally:
            for each in held:
                each.close()
        return first


def until(holds: Callable[[], float]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def scrapes(first: int) -> dict[str, Any]:
    """Return what the chart's monitors come to: agents have the label `node`."""
    agents = [
        {"targets": [f"127.0.0.1:{first + number}"], "labels": {"node": node}}
        for number, node in enumerate(NODES, 1)
    ]
    operator = [{"targets": [f"127.0.0.1:{first}"]}]
    return {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "operator", "static_configs": operator},
            {"job_name": "agent", "honor_labels": True, "static_configs": agents},
        ],
    }


def give_up(home: Path, *, refaults: int) -> None:
    """Let the simulated kernels say what pods have given up and got back.

    The emulator plays DAMON; it has no page tables from which anything could go.
    """
    for stat in home.glob("node-*/**/memory.stat"):
        text = re.sub("refault_anon .*", f"refault_anon {refaults}", stat.read_text())
        stat.write_text(text)
        stat.with_name("memory.swap.current").write_text(f"{8 << 20}\n")


@pytest.fixture(name="watched", scope="module")
def watched_fixture(tmp_path_factory) -> Iterator[Watched]:
    directory = tmp_path_factory.mktemp("prometheus")
    first = free_ports(4)
    watched = Watched(first, first + 3)
    (directory / "prometheus.yml").write_text(yaml.safe_dump(scrapes(first)))
    demo = [sys.executable, "-m", "damon_mock", "demo", "--keep", "--transport", "socket"]
    watching = [
        tool("prometheus"),
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{watched.web}",
    ]
    with (
        (directory / "log").open("w") as log,
        subprocess.Popen(
            [*demo, "--metrics-port", str(first)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as played,
        subprocess.Popen(watching, stdout=log, stderr=log) as prometheus,
    ):
        try:
            assert played.stdout is not None
            told = (re.search(r"KUBECONFIG=(\S+)/kubeconfig", line) for line in played.stdout)
            home = next((Path(found[1]) for found in told if found), None)
            assert home is not None, "the demo did not hold"
            until(lambda: watched.value("sum(damon_agent_placed_pods)"))
            give_up(home, refaults=0)
            until(lambda: watched.value("sum(damon_agent_given_up_bytes)"))
            give_up(home, refaults=4096)
            until(lambda: watched.value("sum(damon_agent_refaulted_bytes_total)"))
            until(lambda: watched.value("count(damon_agent_cold_bytes > 0)"))
            yield watched
        finally:
            for each in (played, prometheus):
                each.send_signal(signal.SIGINT)
            if played.stdout is not None:
                played.stdout.close()


def test_each_panel_of_the_dashboard_has_data(watched):
    """At some time of the demo: where all is well nothing is held back, for example."""
    since = {"start": str(time.time() - 600), "end": str(time.time()), "step": "1"}
    found = {
        (title, expression): watched.ask("/api/v1/query_range", query=expression, **since)
        for title, expression in shown()
    }
    assert found
    assert [asked for asked, data in found.items() if not data["result"]] == []


def test_the_list_of_nodes_has_the_nodes(watched):
    (variable,) = [v for v in dashboard()["templating"]["list"] if v["name"] == "node"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    said = watched.ask(f"/api/v1/label/{found[2]}/values", **{"match[]": found[1]})
    assert said == list(NODES)


def test_each_metric_that_an_alert_asks_for_is_told(watched):
    text = (FILES / "alerts.yaml").read_text()
    asked = set(re.findall(r"damon_(?:agent|operator)_\w+", text))
    assert asked
    assert [name for name in sorted(asked) if not watched.query(name)] == []


def test_no_alert_is_about_to_fire_while_all_is_well(watched):
    rules = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    firing = [
        rule["alert"] for group in rules for rule in group["rules"] if watched.query(rule["expr"])
    ]
    # Made above: a few pods got everything back at once.
    assert set(firing) <= {"DamonMemoryComesBack", "DamonProtectedPodsSwappedIn"}


def test_pods_keep_their_names(watched):
    found = watched.query("damon_agent_pod_given_up_bytes")
    assert {"shop/web", "shop/database"} <= {
        f"{each['metric']['namespace']}/{each['metric']['pod']}" for each in found
    }


@pytest.mark.parametrize("program", range(3), ids=["operator", *NODES])
def test_prometheus_has_nothing_to_object_to_in_what_is_told(watched, program):
    url = f"http://127.0.0.1:{watched.first + program}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        page = answer.read()
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=page, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, b"")
