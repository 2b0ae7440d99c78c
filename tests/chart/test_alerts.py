"""Each alert can fire, does not when it should not, and leads to its paragraph."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_tools import tool
from told_node import seen

from damon_agent.families import families

ROOT = Path(__file__).parents[2]
ON = ("metrics.enabled=true", "metrics.prometheusRule.enabled=true")
ASSUMED = "metrics.assumeMonitoringApi=true"


@pytest.fixture(name="rule")
def rule_fixture(render):
    return render(*ON, ASSUMED).get("PrometheusRule", "damon-operator")


def rules(rule):
    return [each for group in rule["spec"]["groups"] for each in group["rules"]]


def anchors(text: str) -> list[str]:
    """Return the anchors of headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_there_are_none_unless_asked_for_and_known(render):
    assert not render(*ON).of("PrometheusRule")
    assert not render(ON[0], ASSUMED).of("PrometheusRule")
    assert not render(ON[1], ASSUMED).of("PrometheusRule")


def test_each_alert_leads_to_its_paragraph_and_each_paragraph_has_an_alert(rule):
    text = (ROOT / "docs/operations.md").read_text()
    there = anchors(text)
    linked = []
    for each in rules(rule):
        base, _, anchor = each["annotations"]["runbook_url"].partition("#")
        assert base == "docs/operations.md"
        assert there.count(anchor) == 1, each["alert"]
        linked.append(anchor)
    described = re.findall(r"^### (Damon\w+)$", text, re.MULTILINE)
    assert sorted(linked) == sorted(name.lower() for name in described)


def test_the_docs_are_where_the_values_say(render):
    url = 'metrics.prometheusRule.runbookUrl="https://wiki.example.com/damon"'
    labels = 'metrics.prometheusRule.labels={"release":"prometheus"}'
    rule = render(*ON, ASSUMED, url, labels).get("PrometheusRule", "damon-operator")
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    for each in rules(rule):
        anchor = each["alert"].lower()
        assert each["annotations"]["runbook_url"] == f"https://wiki.example.com/damon#{anchor}"


def test_each_alert_says_how_bad_it_is_and_for_how_long_it_has_to_last(rule):
    for each in rules(rule):
        assert each["labels"]["severity"] in {"critical", "warning", "info"}
        assert each["for"]
        assert each["annotations"]["summary"]
        assert each["annotations"]["description"]


@pytest.fixture(name="rule_file")
def rule_file_fixture(rule, tmp_path):
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"], sort_keys=False))
    return file


def promtool(*arguments, said: str | None = None) -> None:
    ran = subprocess.run(
        [tool("promtool"), *map(str, arguments)],
        input=said,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_takes_the_rules(rule_file):
    promtool("check", "rules", rule_file)


def test_the_alerts_fire_when_they_should_and_only_then(rule_file):
    cases = rule_file.with_name("alerts.yaml")
    cases.write_text((Path(__file__).parent / "alerts.yaml").read_text())
    promtool("test", "rules", cases)


def test_each_alert_has_its_case(rule):
    cases = (Path(__file__).parent / "alerts.yaml").read_text()
    fired = set(re.findall(r'alertname(?:="|: )(Damon\w+)', cases))
    assert fired == {each["alert"] for each in rules(rule)}


def test_prometheus_finds_nothing_to_object_to_in_what_is_told():
    class Held:
        def collect(self):
            return families(seen(by_pod=True))

    registry = CollectorRegistry()
    registry.register(Held())
    promtool("check", "metrics", said=generate_latest(registry).decode())
