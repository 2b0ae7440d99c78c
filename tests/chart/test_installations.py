"""One installation per cluster: a second one is refused, with the name of the one that stands."""

import asyncio
import copy
from pathlib import Path

import pytest

from damon_mock.kube.server import ApiServer

CHART = str(Path(__file__).parents[2] / "helm/damon-operator")

# The embedded server has no DaemonSets of its own; a resource of that name is all this needs.
DAEMON_SETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "daemonsets.apps"},
    "spec": {
        "group": "apps",
        "scope": "Namespaced",
        "names": {"kind": "DaemonSet", "plural": "daemonsets", "singular": "daemonset"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


@pytest.fixture(name="install")
async def install_fixture(newest, render, run, tmp_path):
    """Return a function that renders a release in a cluster where `one` is in `first`."""
    async with ApiServer() as api:
        api.cluster.create(DAEMON_SETS)
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "first"}}
        api.cluster.create(space)
        agents = copy.deepcopy(render(release="one", namespace="first").of("DaemonSet"))
        api.cluster.create(agents[0])
        kubeconfig = str(api.write_kubeconfig(tmp_path / "kubeconfig"))

        async def install(release, namespace):
            asked = ("--dry-run=server", "--kubeconfig", kubeconfig, "--namespace", namespace)
            return await asyncio.to_thread(run, newest, "template", release, CHART, *asked)

        yield install


@pytest.mark.parametrize(
    ("release", "namespace"), [("two", "first"), ("one", "second"), ("two", "second")]
)
async def test_a_second_installation_is_refused_by_the_name_of_the_first(
    install, release, namespace
):
    done = await install(release, namespace)
    assert done.returncode != 0
    assert "installed in this cluster already: release one in namespace first" in done.stderr
    assert "helm upgrade one --namespace first" in done.stderr


async def test_the_one_that_stands_is_not_in_its_own_way(install):
    done = await install("one", "first")
    assert "already" not in done.stderr


def test_two_installations_have_no_policies_for_nodes_beside_each_other(render):
    """By Helm's rule of one owner per object even an install that may not look is refused."""

    def policies(**where):
        return {
            (o["kind"], o["metadata"]["name"])
            for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
            for o in render(**where).of(kind)
            if "damonnodes" in o["metadata"]["name"]
        }

    assert policies(release="one", namespace="first") == policies(release="two", namespace="second")
    assert len(policies()) == 6


def test_the_operator_knows_what_the_policy_lets_owners_ask_for(render):
    def argument(*values):
        (container,) = render(*values).operator["spec"]["containers"]
        return [a for a in container["args"] if a.startswith("--annotation-policy")]

    assert argument() == ["--annotation-policy=1:100:true"]
    assert argument('policies.annotations={"min":5,"max":75,"exempt":false}') == [
        "--annotation-policy=5:75:false"
    ]
    assert argument('policies.annotations.action="Off"') == []
