"""How little the pods of the chart may do: each field that takes something away, one by one."""

import pytest

from damon_operator.facts import Part
from damon_operator.settings import parse

CONTAINER = {
    "privileged": False,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
AGENT = {**CONTAINER, "runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": False}
RESTRICTED = {**CONTAINER, "runAsUser": 65532, "runAsGroup": 65532, "runAsNonRoot": True}
"""Level restricted of the Pod Security Standards, and a read-only root file system."""

SHARED_WITH_THE_NODE = {"hostPID", "hostNetwork", "hostIPC", "hostUsers", "shareProcessNamespace"}


def only_container(pod):
    assert "initContainers" not in pod["spec"]
    (container,) = pod["spec"]["containers"]
    return container


def test_the_agent_is_uid_0_and_nothing_more(render):
    assert only_container(render().agent)["securityContext"] == AGENT


def test_everything_but_the_agent_satisfies_restricted(render):
    for name, pod in render().pods():
        if name == "DaemonSet damon-operator-agent":
            continue
        assert only_container(pod)["securityContext"] == RESTRICTED, name
        assert pod["spec"]["securityContext"]["runAsNonRoot"], name
        assert not SHARED_WITH_THE_NODE & pod["spec"].keys(), name
        assert "volumes" not in pod["spec"], name


def test_the_agent_shares_its_pids_with_the_node_and_nothing_else(render):
    spec = render().agent["spec"]
    assert SHARED_WITH_THE_NODE & spec.keys() == {"hostPID"}
    assert spec["hostPID"] is True


def mounts(pod):
    """Return what is mounted: path in the container -> (path on the node, type, writable)."""
    volumes = {v["name"]: v["hostPath"] for v in pod["spec"]["volumes"]}
    container = only_container(pod)
    assert volumes.keys() == {m["name"] for m in container["volumeMounts"]}
    return {
        m["mountPath"]: (
            volumes[m["name"]]["path"],
            volumes[m["name"]]["type"],
            not m.get("readOnly", False),
        )
        for m in container["volumeMounts"]
    }


def test_the_agent_can_write_to_damon_and_its_record_only(render):
    assert mounts(render().agent) == {
        "/host/damon": ("/sys/kernel/mm/damon", "Directory", True),
        "/host/cgroup": ("/sys/fs/cgroup", "Directory", False),
        "/var/lib/damon-operator": ("/run/damon-operator", "DirectoryOrCreate", True),
    }


@pytest.mark.parametrize("mount", ["Narrow", "Wide"])
def test_damon_is_never_mounted_where_apparmor_denies_it(render, mount):
    """The default profile denies writes below /sys by the path in the container."""
    assert not [
        path
        for path in mounts(render(f'agent.hostPaths.damonMount="{mount}"').agent)
        if path.startswith(("/sys", "/proc"))
    ]


def test_a_wide_mount_gives_the_agent_a_root_that_may_be_absent(render):
    agent = render('agent.hostPaths.damonMount="Wide"').agent
    assert mounts(agent)["/host/mm"] == ("/sys/kernel/mm", "Directory", True)
    assert "--damon-root=/host/mm/damon" in only_container(agent)["args"]


def test_a_mock_is_mounted_instead_of_the_kernels(render):
    agent = render(
        'agent.hostPaths.damon="/var/lib/mock/damon"',
        'agent.hostPaths.module="/var/lib/mock/module"',
        "agent.nestedPidNamespace=true",
    ).agent
    found = mounts(agent)
    assert found["/host/damon"] == ("/var/lib/mock/damon", "Directory", True)
    assert found["/host/module"] == ("/var/lib/mock/module", "Directory", False)
    arguments = only_container(agent)["args"]
    assert "--damon-root=/host/damon" in arguments
    assert "--module-root=/host/module" in arguments
    assert "--nested-pid-namespace" in arguments
    assert not [path for path, *_ in found.values() if path.startswith("/sys/kernel")]


def test_damon_stats_parameters_alone_become_writable_when_it_may_be_switched_off(render):
    agent = render("agent.disableDamonStat=true").agent
    assert mounts(agent) == {
        **mounts(render().agent),
        "/host/module": ("/sys/module", "Directory", False),
        "/host/module/damon_stat/parameters": (
            "/sys/module/damon_stat/parameters",
            "Directory",
            True,
        ),
    }
    arguments = only_container(agent)["args"]
    assert "--disable-damon-stat" in arguments
    assert "--module-root=/host/module" in arguments


def test_where_some_kernels_have_no_damon_stat_a_wide_mount_does_without_its_directory(render):
    agent = render("agent.disableDamonStat=true", 'agent.hostPaths.damonMount="Wide"').agent
    found = mounts(agent)
    assert found["/host/module"] == ("/sys/module", "Directory", True)
    assert "/host/module/damon_stat/parameters" not in found


def test_the_usual_agent_insists_on_the_pids_of_the_machine(render):
    arguments = only_container(render().agent)["args"]
    assert "--nested-pid-namespace" not in arguments
    assert not [a for a in arguments if a.startswith("--module-root")], (
        "its own /sys/module will do"
    )


def test_security_modules_can_be_told_what_to_do(render):
    context = only_container(
        render(
            'agent.appArmorProfile={"type":"RuntimeDefault"}',
            'agent.seLinuxOptions={"type":"spc_t"}',
            'agent.seccompProfile={"type":"Localhost","localhostProfile":"damon.json"}',
        ).agent
    )["securityContext"]
    assert context["appArmorProfile"] == {"type": "RuntimeDefault"}
    assert context["seLinuxOptions"] == {"type": "spc_t"}
    assert context["seccompProfile"] == {"type": "Localhost", "localhostProfile": "damon.json"}


def test_every_container_states_what_it_needs_and_its_memory_ends_somewhere(render):
    for name, pod in render().pods():
        resources = only_container(pod)["resources"]
        assert resources["requests"].keys() == {"cpu", "memory"}, name
        assert "memory" in resources["limits"], name


def test_tokens_are_mounted_where_they_are_used_only(render):
    objects = render()
    for account in objects.of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    accounts = [pod["spec"]["serviceAccountName"] for _, pod in objects.pods()]
    assert len(set(accounts)) == len(accounts), "nobody shares an identity"
    assert sorted(accounts) == sorted(a["metadata"]["name"] for a in objects.of("ServiceAccount"))
    for name, pod in objects.pods():
        assert pod["spec"]["enableServiceLinks"] is False, name


def test_agents_are_on_every_node_and_stay_under_pressure(render):
    spec = render().agent["spec"]
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert spec["priorityClassName"] == "system-node-critical"


def test_no_agent_is_put_where_none_can_start(render):
    affinity = render().agent["spec"]["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert {(e["key"], e["operator"], *e["values"]) for e in term["matchExpressions"]} == {
        ("type", "NotIn", "virtual-kubelet"),
        ("eks.amazonaws.com/compute-type", "NotIn", "fargate"),
    }
    assert render().agent["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
    own = render('agent.affinity={"podAffinity":{}}').agent["spec"]["affinity"]
    assert own == {"podAffinity": {}}


def test_the_operator_knows_its_own_pods_by_their_service_accounts(render):
    objects = render(release="other", namespace="elsewhere")
    (container,) = objects.get("Deployment", "other-damon-operator")["spec"]["template"]["spec"][
        "containers"
    ]
    settings = parse(
        [a.replace("$(POD_NAMESPACE)", "x").replace("$(POD_NAME)", "y") for a in container["args"]],
        {},
    )
    accounts = {("elsewhere", a["metadata"]["name"]) for a in objects.of("ServiceAccount")}
    assert settings.accounts.keys() == accounts
    agents = [account for account, part in settings.accounts.items() if part is Part.AGENT]
    pod = objects.get("DaemonSet", "other-damon-operator-agent")["spec"]["template"]["spec"]
    assert agents == [("elsewhere", pod["serviceAccountName"])]


def test_the_api_server_is_reached_at_its_addresses_where_they_are_said(render):
    for policy in render('networkPolicy.apiServerCidrs=["10.96.0.1/32","fd00::1/128"]').of(
        "NetworkPolicy"
    ):
        (rule,) = policy["spec"]["egress"]
        assert rule["to"] == [
            {"ipBlock": {"cidr": "10.96.0.1/32"}},
            {"ipBlock": {"cidr": "fd00::1/128"}},
        ]


def test_nothing_is_reachable_and_only_the_ports_of_api_servers_are_reached(render):
    objects = render("networkPolicy.apiServerPorts=[6443]")
    for pod in (objects.operator, objects.agent):
        labels = pod["metadata"]["labels"].items()
        (policy,) = [
            p
            for p in objects.of("NetworkPolicy")
            if p["spec"]["podSelector"]["matchLabels"].items() <= labels
        ]
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert policy["spec"]["ingress"] == []
        assert policy["spec"]["egress"] == [{"ports": [{"protocol": "TCP", "port": 6443}]}]
