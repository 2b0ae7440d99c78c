"""Metrics are off until asked for; what is asked for is reachable by whom it should be."""

from pathlib import Path

import pytest

from damon_agent import settings as agent_settings
from damon_operator import settings as operator_settings

CHART = Path(__file__).parents[2] / "helm/damon-operator"
API = "monitoring.coreos.com/v1"
ON = "metrics.enabled=true"
MONITORS = ("metrics.serviceMonitor.enabled=true", "metrics.podMonitor.enabled=true")
ASSUMED = "metrics.assumeMonitoringApi=true"


def only_container(pod):
    (container,) = pod["spec"]["containers"]
    return container


def named(container, name="metrics"):
    return [port for port in container.get("ports", ()) if port["name"] == name]


def arguments(container, flag="--metrics"):
    return [a for a in container["args"] if a.startswith(flag)]


def test_off_is_off_whatever_else_is_asked_for(render):
    for objects in (render(), render(*MONITORS, ASSUMED)):
        kinds = {o["kind"] for o in objects.all}
        assert not kinds & {"Service", "ServiceMonitor", "PodMonitor"}
        for pod in (objects.operator, objects.agent):
            assert not named(only_container(pod))
            assert not arguments(only_container(pod))
        for policy in objects.of("NetworkPolicy"):
            assert policy["spec"]["ingress"] == []


@pytest.mark.parametrize("port", [8081, 9000])
def test_both_programs_listen_where_the_port_says(render, port):
    objects = render(ON, f"metrics.port={port}")
    for pod in (objects.operator, objects.agent):
        container = only_container(pod)
        assert named(container) == [{"name": "metrics", "containerPort": port, "protocol": "TCP"}]
        assert arguments(container) == [f"--metrics-port={port}"]
    operator = operator_settings.parse(only_container(objects.operator)["args"], {})
    agent = agent_settings.parse(only_container(objects.agent)["args"], {"NODE_NAME": "n"})
    assert operator.metrics_port == agent.metrics_port == port
    assert operator.metrics_address == agent.metrics_address == "", "the pod's address is not known"


def test_the_service_finds_the_operator_by_the_name_of_the_port(render):
    objects = render(ON)
    service = objects.get("Service", "damon-operator-metrics")
    assert service["spec"]["selector"].items() <= objects.operator["metadata"]["labels"].items()
    assert not service["spec"]["selector"].items() <= objects.agent["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    assert port["name"] == port["targetPort"] == "metrics"


def test_with_metrics_that_port_alone_is_reachable(render):
    peers = (
        '[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}},'
        '"podSelector":{"matchLabels":{"app":"prometheus"}}},{"ipBlock":{"cidr":"10.0.0.0/8"}}]'
    )
    ports = [{"protocol": "TCP", "port": 8081}]
    for policy in render(ON).of("NetworkPolicy"):
        assert policy["spec"]["ingress"] == [{"ports": ports}]
    for policy in render(ON, f"metrics.from={peers}").of("NetworkPolicy"):
        (rule,) = policy["spec"]["ingress"]
        assert rule["ports"] == ports
        assert [sorted(peer) for peer in rule["from"]] == [
            ["namespaceSelector", "podSelector"],
            ["ipBlock"],
        ]


def test_monitors_are_there_exactly_if_wanted_and_the_cluster_knows_them(helm, run, parsed):
    def kinds(*values: str, api: bool) -> set[str]:
        chosen = [a for value in values for a in ("--set-json", value)]
        known = ("--api-versions", API) if api else ()
        ran = run(
            helm,
            *("template", "damon-operator", str(CHART), "--kube-version", "1.36.4"),
            *(*known, *chosen),
        )
        assert ran.returncode == 0, ran.stderr
        found = {o["kind"] for o in parsed(ran.stdout).all}
        return found & {"ServiceMonitor", "PodMonitor"}

    both = {"ServiceMonitor", "PodMonitor"}
    assert kinds(ON, *MONITORS, api=True) == both
    assert kinds(ON, *MONITORS, api=False) == set()
    assert kinds(ON, *MONITORS, ASSUMED, api=False) == both
    assert kinds(ON, MONITORS[0], api=True) == {"ServiceMonitor"}
    assert kinds(ON, MONITORS[1], api=True) == {"PodMonitor"}
    assert kinds(ON, api=True) == set()
    assert kinds(*MONITORS, api=True) == set()


def test_monitors_select_what_is_served_and_carry_what_prometheus_selects_by(render):
    objects = render(
        *(ON, ASSUMED, *MONITORS),
        'metrics.serviceMonitor.labels={"release":"prometheus"}',
        'metrics.serviceMonitor.interval="15s"',
        'metrics.podMonitor.labels={"release":"prometheus"}',
        'metrics.podMonitor.interval="1m"',
    )
    service = objects.get("Service", "damon-operator-metrics")
    monitor = objects.get("ServiceMonitor", "damon-operator")
    assert selects(monitor, service["metadata"]["labels"])
    assert monitor["spec"]["endpoints"] == [{"port": "metrics", "interval": "15s"}]
    pods = objects.get("PodMonitor", "damon-operator-agent")
    assert selects(pods, objects.agent["metadata"]["labels"])
    assert not selects(pods, objects.operator["metadata"]["labels"])
    (endpoint,) = pods["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["interval"]) == ("metrics", "1m")
    (relabeling,) = endpoint["relabelings"]
    assert relabeling == {
        "sourceLabels": ["__meta_kubernetes_pod_node_name"],
        "targetLabel": "node",
    }
    for found in (monitor, pods):
        assert found["metadata"]["labels"]["release"] == "prometheus"
        assert found["spec"]["namespaceSelector"] == {"matchNames": ["damon-system"]}


def selects(monitor, labels) -> bool:
    return monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_without_an_interval_prometheus_decides(render):
    objects = render(ON, ASSUMED, *MONITORS)
    assert objects.of("ServiceMonitor")[0]["spec"]["endpoints"] == [{"port": "metrics"}]
    assert "interval" not in objects.of("PodMonitor")[0]["spec"]["podMetricsEndpoints"][0]


def test_pods_are_named_only_if_asked_for_and_then_keep_their_names(render):
    objects = render(ON, ASSUMED, *MONITORS, "metrics.perPod=true")
    assert "--metrics-per-pod" in only_container(objects.agent)["args"]
    args = only_container(objects.agent)["args"]
    assert agent_settings.parse(args, {"NODE_NAME": "n"}).metrics_per_pod
    (endpoint,) = objects.of("PodMonitor")[0]["spec"]["podMetricsEndpoints"]
    assert endpoint["honorLabels"]
    objects = render(ON, ASSUMED, *MONITORS)
    assert "--metrics-per-pod" not in only_container(objects.agent)["args"]
    assert "honorLabels" not in objects.of("PodMonitor")[0]["spec"]["podMetricsEndpoints"][0]


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_both_programs_log_in_the_form_that_is_asked_for(render, form):
    objects = render(f'logFormat="{form}"')
    operator = operator_settings.parse(only_container(objects.operator)["args"], {})
    agent = agent_settings.parse(only_container(objects.agent)["args"], {"NODE_NAME": "n"})
    assert operator.log_format == agent.log_format == form


def test_two_uses_of_one_port_are_refused(helm, template):
    ran = template(helm, ON, "metrics.port=8080")
    assert ran.returncode != 0
    assert "metrics.port and operator.livenessPort are both 8080" in ran.stderr
