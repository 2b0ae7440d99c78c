"""The dashboard as a file; e2e/prometheus asks a real Prometheus whether it shows anything."""

import json

import pytest

ON = ("metrics.enabled=true", "metrics.dashboard.enabled=true")


@pytest.fixture(name="dashboard")
def dashboard_fixture(render):
    (only,) = render(*ON).get("ConfigMap", "damon-operator-dashboard")["data"].values()
    return json.loads(only)


def panels(dashboard):
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def test_there_is_none_unless_asked_for(render):
    assert not render(ON[0]).of("ConfigMap")
    assert not render(ON[1]).of("ConfigMap")


def test_the_sidecar_finds_it(render):
    folder = 'metrics.dashboard.annotations={"grafana_folder":"Nodes"}'
    found = render(*ON, folder).get("ConfigMap", "damon-operator-dashboard")["metadata"]
    assert found["labels"]["grafana_dashboard"] == "1"
    assert found["annotations"] == {"grafana_folder": "Nodes"}


def test_each_panel_has_a_place_a_title_and_asks_the_chosen_prometheus(dashboard):
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["title"]
    numbers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    (source,) = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    for panel in panels(dashboard):
        for asks in (panel, *panel["targets"]):
            assert asks["datasource"] == {"type": "prometheus", "uid": f"${{{source['name']}}}"}
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == sorted(set(refs))
