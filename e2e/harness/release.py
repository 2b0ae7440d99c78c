"""The chart, installed by Helm as a user would, with values for the mocks."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.api import Api, eventually
from harness.command import run

ROOT: Final = Path(__file__).parents[2]
CHART: Final = ROOT / "helm/damon-operator"
NAME: Final = "damon-operator"
NAMESPACE: Final = "damon-system"
VERSION: Final = next(
    line.split('"')[1]
    for line in (ROOT / "pyproject.toml").read_text().splitlines()
    if line.startswith("version = ")
)
_PREFIX: Final = os.environ.get("IMAGE_PREFIX", "localhost/damon-operator")
AGENT_IMAGE: Final = f"{_PREFIX}/agent:{os.environ.get('IMAGE_TAG', VERSION)}"
"""Pods of the tests run from it too: where there is no registry, it is an image that is there."""
OPERATOR_IMAGE: Final = AGENT_IMAGE.replace("/agent:", "/operator:")
IMAGE: Final[dict[str, Any]] = {
    "prefix": _PREFIX,
    "tag": os.environ.get("IMAGE_TAG", VERSION),
    "pullPolicy": "Never",
}


def _sources() -> str:
    """Return a digest of all that goes into the images."""
    digest = hashlib.sha256()
    files = [ROOT / "Dockerfile", ROOT / "pyproject.toml", *ROOT.glob("requirements-*.lock")]
    for room in ("crds/damon_contract", "operator/damon_operator", "agent/damon_agent"):
        files += (ROOT / room).rglob("*.py")
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


SOURCES: Final = _sources()
"""Also an annotation of the pods: a cluster that is used again runs the images of now."""

ANNOTATIONS: Final = {"podAnnotations": {"damon-operator.io/sources": SOURCES}}

VALUES: Final[dict[str, Any]] = {
    "image": IMAGE,
    "operator": ANNOTATIONS,
    "agent": {
        **ANNOTATIONS,
        "hostPaths": {
            "damon": "/var/lib/damon-mock/damon",
            "module": "/var/lib/damon-mock/module",
        },
        "nestedPidNamespace": True,
    },
    "policies": {"annotations": {"max": 75}},
}


class Release:
    """The one release of a suite."""

    def __init__(self, api: Api, values: Mapping[str, Any] = VALUES) -> None:
        self._api = api
        self._values = values

    def install(self, **more: Any) -> None:
        """Install or upgrade with its values and further ones; wait until all is ready."""
        values = {**self._values, **more}
        run(
            [
                *("helm", "upgrade", "--install", NAME, str(CHART), "--namespace", NAMESPACE),
                *("--create-namespace", "--values", "-", "--wait", "--timeout", "240s"),
            ],
            given=json.dumps(values),
        )
        self.ready()

    def rollback(self) -> None:
        """Back to the revision before."""
        run(["helm", "rollback", NAME, "--namespace", NAMESPACE, "--wait", "--timeout", "240s"])
        self.ready()

    def uninstall(self) -> None:
        """Take it away, hooks included."""
        run(["helm", "uninstall", NAME, "--namespace", NAMESPACE, "--wait", "--timeout", "300s"])

    def ready(self, within_s: float = 180) -> None:
        """Wait until operator and agents run as the newest revision says."""
        eventually("operator and agents are ready", self._is_ready, within_s)

    def agents(self) -> dict[str, dict[str, Any]]:
        """Return node -> agent pod, without those that are ending."""
        return {p["spec"]["nodeName"]: p for p in self.pods("agent")}

    def leader(self) -> str:
        """Return the pod that holds the lease."""
        lease = self._api.get("leases", NAME, NAMESPACE)
        return str(lease["spec"].get("holderIdentity") or "")

    def pods(self, component: str) -> list[dict[str, Any]]:
        """Return the pods of a component, without those that are ending."""
        return [
            p
            for p in self._api.get("pods", namespace=NAMESPACE)
            if (p["metadata"].get("labels") or {}).get("app.kubernetes.io/component") == component
            and "deletionTimestamp" not in p["metadata"]
            and p["spec"].get("nodeName")
        ]

    def _is_ready(self) -> bool:
        operator = self._api.get("deployments", NAME, NAMESPACE)
        agents = self._api.get("daemonsets", f"{NAME}-agent", NAMESPACE)
        wanted, have = operator["spec"]["replicas"], operator["status"]
        selector = self._values["agent"].get("nodeSelector", {}).items()
        nodes = sum(selector <= n["metadata"]["labels"].items() for n in self._api.get("nodes"))
        state = agents["status"]
        return bool(
            have.get("observedGeneration") == operator["metadata"]["generation"]
            and have.get("updatedReplicas") == have.get("readyReplicas") == wanted
            and have.get("replicas") == wanted
            and state.get("observedGeneration") == agents["metadata"]["generation"]
            and state.get("updatedNumberScheduled") == state.get("numberReady") == nodes
        )
