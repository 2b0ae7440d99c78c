"""Every helm renders the chart, with any sensible values, into the same valid objects."""

import tomllib
from pathlib import Path

import pytest
import yaml

from damon_agent import settings as setup
from damon_contract import names
from damon_operator import uninstall
from damon_operator.settings import parse

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/damon-operator"

MATRIX = [
    pytest.param((), id="defaults"),
    pytest.param(("crds.enabled=false",), id="crds elsewhere"),
    pytest.param(("crds.keep=false",), id="crds removed"),
    pytest.param(("operator.replicas=1",), id="one replica"),
    pytest.param(("operator.replicas=0", "operator.nodeSelector=null"), id="no replica"),
    pytest.param(
        (
            'operator.affinity={"nodeAffinity":{}}',
            'operator.tolerations=[{"key":"a","operator":"Exists"}]',
            'operator.podAnnotations={"a":"b"}',
            'operator.serviceAccount.annotations={"a":"b"}',
            'operator.priorityClassName="system-cluster-critical"',
            'operator.image="registry.example.com/operator@sha256:0123"',
            'operator.resources={"limits":{"memory":"1Gi","cpu":1.5}}',
        ),
        id="operator, everything",
    ),
    pytest.param(
        (
            'agent.driver="native"',
            "agent.nestedPidNamespace=true",
            "agent.disableDamonStat=true",
            'agent.hostPaths.module="/var/lib/mock/module"',
            'agent.hostPaths.damonMount="Wide"',
            'agent.appArmorProfile={"type":"Localhost","localhostProfile":"damon"}',
            'agent.seLinuxOptions={"type":"spc_t"}',
            'agent.affinity={"nodeAffinity":{}}',
            'agent.podAnnotations={"a":"b"}',
            'agent.priorityClassName=""',
            "agent.maxUnavailable=1",
            "agent.tolerations=[]",
            "agent.nodeSelector=null",
        ),
        id="agent, everything",
    ),
    pytest.param(
        (
            "policies.damonNodes.enabled=false",
            'policies.annotations.action="Off"',
            "networkPolicy.enabled=false",
            "uninstall.enabled=false",
            "operator.podDisruptionBudget.enabled=false",
        ),
        id="everything optional off",
    ),
    pytest.param(
        (
            'policies.annotations={"action":"Deny","min":10,"max":75}',
            'policies.damonNodes.planWriters=["system:serviceaccount:velero:velero"]',
            "uninstall.deleteTunings=true",
            'image.pullSecrets=[{"name":"registry"}]',
            'image.tag="v9"',
            'fullnameOverride="other"',
        ),
        id="everything optional on",
    ),
    pytest.param(
        (
            "metrics.enabled=true",
            "metrics.port=9000",
            'metrics.from=[{"namespaceSelector":{}}]',
            "metrics.assumeMonitoringApi=true",
            'metrics.serviceMonitor={"enabled":true,"labels":{"release":"p"},"interval":"15s"}',
            'metrics.podMonitor={"enabled":true,"labels":{"release":"p"},"interval":"1m"}',
            'fullnameOverride="other"',
        ),
        id="metrics, everything",
    ),
    pytest.param(("metrics.enabled=true", "networkPolicy.enabled=false"), id="metrics, plain"),
    pytest.param(('global={"imageRegistry":"x"}',), id="as a subchart"),
]


@pytest.mark.parametrize("values", MATRIX)
def test_every_combination_renders(helm, values, template, parsed):
    ran = template(helm, *values)
    assert ran.returncode == 0, ran.stderr
    for o in parsed(ran.stdout).all:
        assert o["apiVersion"]
        assert o["metadata"]["name"]
        assert len(o["metadata"]["name"]) <= 63


def test_lint_finds_nothing(helm, run):
    ran = run(helm, "lint", "--strict", "--kube-version", "1.36.4", str(CHART))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_both_helms_render_the_same(helm, render, template, parsed):
    ran = template(helm)
    ordered = [
        sorted(objects.all, key=lambda o: (o["kind"], o["metadata"]["name"]))
        for objects in (parsed(ran.stdout), render())
    ]
    assert ordered[0] == ordered[1]


def test_no_two_objects_share_a_name(render):
    found = [(o["kind"], o["metadata"]["name"]) for o in render().all]
    assert len(found) == len(set(found))
    for _, pod in render().pods():
        for container in pod["spec"]["containers"]:
            variables = [v["name"] for v in container.get("env", ())]
            assert len(variables) == len(set(variables)), "server-side apply refuses duplicates"


def test_namespaced_objects_are_in_the_namespace_of_the_release(render):
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    for o in render(namespace="elsewhere").all:
        if o["kind"] in cluster_wide or o["kind"].startswith("ValidatingAdmission"):
            assert "namespace" not in o["metadata"]
        else:
            assert o["metadata"]["namespace"] == "elsewhere"


def test_everything_that_runs_is_marked_as_ours_and_so_never_a_target(render):
    running = dict(render().pods())
    assert len(running) == 4, "operator, agent, uninstall hook, test"
    for pod in running.values():
        assert pod["metadata"]["labels"][names.PART_OF_LABEL] == names.PART_OF


def test_workloads_select_their_own_pods_only(render):
    objects = render()
    for kind in ("Deployment", "DaemonSet"):
        (workload,) = objects.of(kind)
        selector = workload["spec"]["selector"]["matchLabels"].items()
        chosen = [n for n, pod in objects.pods() if selector <= pod["metadata"]["labels"].items()]
        assert chosen == [f"{kind} {workload['metadata']['name']}"]
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & dict(selector).keys(), (
            "an upgrade would change an immutable selector"
        )


@pytest.mark.parametrize(
    ("release", "name"),
    [("damon-operator", "damon-operator"), ("my", "my-damon-operator"), ("x" * 53, "x" * 40)],
)
def test_names_follow_the_release(render, release, name):
    assert render(release=release).of("Deployment")[0]["metadata"]["name"] == name


def test_images_are_pinned_by_tag_or_by_whatever_is_stated(render):
    objects = render('image.prefix="registry.example.com/team"', 'image.tag="v9"')
    assert (
        objects.operator["spec"]["containers"][0]["image"]
        == "registry.example.com/team/operator:v9"
    )
    assert objects.agent["spec"]["containers"][0]["image"] == "registry.example.com/team/agent:v9"
    stated = render('agent.image="r/agent@sha256:0123"')
    assert stated.agent["spec"]["containers"][0]["image"] == "r/agent@sha256:0123"


def test_chart_and_images_have_the_version_of_the_project(render):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == project["version"]
    image = render().operator["spec"]["containers"][0]["image"]
    assert image.endswith(f":{project['version']}")


def test_a_budget_is_there_exactly_when_there_is_a_second_replica(render):
    assert render().of("PodDisruptionBudget")
    assert not render("operator.replicas=1").of("PodDisruptionBudget")


def test_the_operator_and_its_role_agree_about_the_lease(render):
    objects = render()
    arguments = objects.operator["spec"]["containers"][0]["args"]
    assert "--leader-elect" in arguments
    assert "--lease-name=damon-operator" in arguments
    assert "--lease-namespace=$(POD_NAMESPACE)" in arguments
    lease = objects.get("Role", "damon-operator")["rules"][1]
    assert lease["resourceNames"] == ["damon-operator"]


def test_the_operator_takes_the_arguments_it_is_given(render):
    arguments = render().operator["spec"]["containers"][0]["args"]
    settings = parse([a.replace("$(POD_NAMESPACE)", "ns") for a in arguments], {})
    assert settings.leader_elect
    assert settings.lease_namespace == "ns"
    assert settings.liveness_port == 8080


@pytest.mark.parametrize(
    "values",
    [
        (),
        (
            'agent.driver="native"',
            'agent.hostPaths.module="/m"',
            "agent.nestedPidNamespace=true",
            'agent.logLevel="debug"',
        ),
    ],
)
def test_the_agent_takes_the_arguments_it_is_given(render, values):
    container = render(*values).agent["spec"]["containers"][0]
    settings = setup.parse(container["args"], {"NODE_NAME": "n"})
    paths = {m["mountPath"] for m in container["volumeMounts"]}
    assert settings.node_name == "n"
    assert str(settings.damon_root) in paths
    assert str(settings.cgroup_root) in paths
    assert str(settings.state_dir) in paths
    assert str(settings.module_root) in {*paths, "/sys/module"}
    assert settings.kubeconfig is None, "only a pod's own credentials open a real sysfs"
    assert settings.nested_pid_namespace is bool(values)
    assert [e["name"] for e in container["env"]] == ["NODE_NAME", "POD_NAMESPACE"]


def test_an_update_never_runs_two_agents_on_a_node(render):
    strategy = render().get("DaemonSet", "damon-operator-agent")["spec"]["updateStrategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": "10%", "maxSurge": 0}


def test_notes_say_what_is_risky(helm, run):
    def notes(*values: str) -> str:
        chosen = [a for value in values for a in ("--set-json", value)]
        ran = run(helm, "install", "d", str(CHART), "--dry-run=client", *chosen)
        return ran.stdout + ran.stderr

    if "cluster unreachable" in notes():
        pytest.skip(f"{helm}: Helm 3 asks a cluster even for a dry run")
    assert "kind: DamonTuning" in notes()
    assert "WARNING" not in notes()
    assert "WARNING: uninstall.enabled=false" in notes("uninstall.enabled=false")
    assert "WARNING: policies.damonNodes" in notes("policies.damonNodes.enabled=false")
    monitored = ("metrics.enabled=true", "metrics.podMonitor.enabled=true")
    assert "WARNING: monitoring.coreos.com/v1 is not served" in notes(*monitored)
    assert "WARNING" not in notes(*monitored, "metrics.assumeMonitoringApi=true")


def test_the_hook_runs_a_module_that_is_there(render):
    job = render("uninstall.deleteTunings=true").get("Job", "damon-operator-uninstall")
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["command"] == ["python3", "-m", "damon_operator.uninstall"]
    read = uninstall.read(container["args"])
    selected = read.release.agent_labels.items()
    assert selected <= render().agent["metadata"]["labels"].items()
    assert not selected <= render().operator["metadata"]["labels"].items()
    assert read.release.deployment == render().of("Deployment")[0]["metadata"]["name"]
    assert read.release.delete_tunings
    assert job["spec"]["activeDeadlineSeconds"] > read.timeout_s
