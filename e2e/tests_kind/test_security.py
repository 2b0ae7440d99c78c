"""What tokens and pods of the chart may do, as the API server sees it."""

import json
import os
import subprocess
from functools import partial
from typing import Any

import pytest
from harness.api import Api, Body, Refused, eventually
from harness.release import NAME, NAMESPACE, Release
from harness.workloads import pod
from tests_kind.nodes import Node

AGENT = f"{NAME}-agent"


class Holder:
    """Whoever holds a token, and nothing else."""

    def __init__(self, api: Api, token: str) -> None:
        self._api = api
        self._token = token

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run kubectl with the token alone: a client certificate would speak first."""
        command = ["kubectl", "--kubeconfig", os.devnull, "--server", self._api.server]
        command += ["--certificate-authority", self._api.authority, "--token", self._token]
        return subprocess.run([*command, *arguments], check=False, capture_output=True, text=True)

    def refused(self, *arguments: str, because: str = "forbidden") -> str:
        """Return the API server's words; AssertionError if it did what was asked."""
        done = self.kubectl(*arguments)
        assert done.returncode != 0, done.stdout
        assert because in done.stderr
        return done.stderr

    def patch_refused(self, name: str, change: Body, because: str = "forbidden") -> str:
        """As `refused`, for a change of a DamonNode: `kubectl patch` would read it first."""
        with pytest.raises(Refused, match=because) as refusal:
            self.patch(name, change)
        assert refusal.value.code == 403
        return refusal.value.message

    def patch(self, name: str, change: Body) -> None:
        """Change a DamonNode: its status, if that is what the change is of."""
        of = "status" if "status" in change else ""
        Api(self._token).patch("damonnodes", name, change, of=of)


def _token(api: Api, account: str, bound_to: Body | None = None) -> str:
    spec: Body = {"audiences": [], "expirationSeconds": 600}
    if bound_to:
        metadata = bound_to["metadata"]
        spec["boundObjectRef"] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
    where = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token"
    return str(api.ask("POST", where, {"spec": spec})["status"]["token"])


@pytest.fixture(name="plans")
def plans_fixture(tuning: Body, workers: tuple[Node, Node], api: Api) -> None:
    for node in workers:
        eventually("there is a plan", partial(api.find, "damonnodes", node.name))


STATUS = {"status": {"targets": 7}}
SPEC = {"spec": {"tuning": "mine"}}


def test_an_agents_token_writes_the_status_of_its_own_node_and_nothing_else(
    plans: None, release: Release, workers: tuple[Node, Node], api: Api
) -> None:
    own, other = workers[0].name, workers[1].name
    agent = Holder(api, _token(api, AGENT, release.agents()[own]))
    agent.patch(own, STATUS)
    told = agent.patch_refused(other, STATUS, "may not write the status")
    assert own in told
    assert other in told
    agent.patch_refused(own, SPEC)
    agent.patch_refused(other, SPEC)
    agent.refused("delete", "damonnode", own)
    agent.refused("get", "pods", "--all-namespaces")
    agent.refused("delete", "pod", "anything", "--namespace", "shop")
    agent.refused("run", "mine", "--image", "x", "--namespace", "shop")
    agent.refused("get", "secrets", "--all-namespaces")
    agent.refused("get", "secret", "any", "--namespace", NAMESPACE)
    agent.refused("get", "nodes")
    agent.refused("patch", "damontuning", "default", "--type", "merge", "--patch", "{}")


def test_an_agents_token_that_is_bound_to_no_pod_writes_nothing(
    plans: None, release: Release, workers: tuple[Node, Node], api: Api
) -> None:
    anybody = Holder(api, _token(api, AGENT))
    for node in workers:
        anybody.patch_refused(node.name, STATUS, "names no node")
        anybody.patch_refused(node.name, SPEC)
    anybody.refused("get", "pods", "--all-namespaces")
    anybody.refused("get", "secrets", "--all-namespaces")


def test_the_operators_token_writes_no_status_of_a_node(
    plans: None, release: Release, workers: tuple[Node, Node], api: Api
) -> None:
    operator = Holder(api, _token(api, NAME, release.pods("operator")[0]))
    operator.patch_refused(workers[0].name, STATUS)
    operator.refused("get", "secrets", "--all-namespaces")
    operator.refused("delete", "pod", "anything", "--namespace", "shop")
    operator.refused("create", "namespace", "mine")


def test_not_even_an_administrator_writes_what_an_agent_should_have_seen(
    plans: None, workers: tuple[Node, Node], api: Api
) -> None:
    with pytest.raises(Refused, match="only the agent of a node") as refusal:
        api.patch("damonnodes", workers[0].name, STATUS, of="status")
    assert refusal.value.code == 403


def test_the_agent_runs_with_every_hardening_field_and_no_capability(
    release: Release, nodes: dict[str, Node], api: Api
) -> None:
    agents = release.agents()
    assert agents.keys() == nodes.keys()
    for name, body in agents.items():
        spec = body["spec"]
        (container,) = spec["containers"]
        context = container["securityContext"]
        assert context["privileged"] is False
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        # Laid on the nodes by the suite; RuntimeDefault is what the chart asks for by itself.
        profile = {"type": "Localhost", "localhostProfile": "damon-operator/agent.json"}
        assert context["seccompProfile"] == profile
        assert spec["hostPID"] is True
        assert "hostNetwork" not in spec
        assert "hostIPC" not in spec
        mounts = {m["name"]: m.get("readOnly", False) for m in container["volumeMounts"]}
        assert {n for n, read_only in mounts.items() if not read_only} == {"damon", "state"}
        # What the kernel made of it, by the node's own /proc.
        identity = body["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
        (pid,) = nodes[name].processes()[identity]
        status = _status(nodes[name], pid)
        assert int(status["CapEff"], 16) == 0
        assert int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert status["Seccomp"] == "2"


def test_the_operator_is_restricted(release: Release, nodes: dict[str, Node]) -> None:
    for body in release.pods("operator"):
        context = body["spec"]["containers"][0]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["readOnlyRootFilesystem"] is True
        assert "hostPID" not in body["spec"]
        node = nodes[body["spec"]["nodeName"]]
        identity = body["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
        (pid,) = node.processes()[identity]
        status = _status(node, pid)
        assert status["Uid"].split() == ["65532"] * 4
        assert int(status["CapEff"], 16) == 0


def test_the_creator_of_a_pod_cannot_raise_it_above_the_bounds(
    tuning: Body, api: Api, workers: tuple[Node, Node], release: Release
) -> None:
    body = pod("raised", workers[0].name, priority="99")
    told = _applied(body, "--dry-run=server")
    assert told.returncode == 0
    assert "outside 1 to 75" in told.stderr
    values: dict[str, Any] = {"policies": {"annotations": {"action": "Deny", "max": 75}}}
    release.install(**values)
    try:
        eventually("it is refused", lambda: _applied(body, "--dry-run=server").returncode != 0)
        assert "outside 1 to 75" in _applied(body, "--dry-run=server").stderr
        body["metadata"]["annotations"] = {"damon-operator.io/priority": "75"}
        assert _applied(body, "--dry-run=server").returncode == 0
    finally:
        release.install()


def _applied(body: Body, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", "apply", "--filename", "-", *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=json.dumps(body),
    )


def _status(node: Node, pid: int) -> dict[str, str]:
    lines = (node.proc / str(pid) / "status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
