"""What a dump is made of, and what its README says. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from damon_cli.sysdump.redaction import redacted, scrubbed

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A file of the dump."""

    path: str
    text: str

    @classmethod
    def of(cls, path: str, raw: Raw) -> Self:
        """Return an object, or a list of them, without what may be secret."""
        return cls(f"{path}.json", json.dumps(redacted(raw), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def of_text(cls, path: str, text: str) -> Self:
        """Return a text without what may be secret."""
        return cls(path, scrubbed(text))


@dataclass(frozen=True)
class Missing:
    """Something that could not be had."""

    what: str
    reason: str


@dataclass(frozen=True)
class OurPod:
    """A pod of the operator or of an agent."""

    namespace: str
    name: str
    generated_from: str
    """Its metadata.generateName: what it and those before it are called, up to the last dash."""
    node: str
    containers: tuple[str, ...]
    """Those of init as well."""
    restarted: frozenset[str]
    """Containers that have a log of the instance before."""
    ready: bool
    metrics_port: int | None
    arguments: tuple[str, ...]
    image: str

    @classmethod
    def of(cls, raw: Raw) -> Self:
        """Read a pod."""
        metadata, spec, status = (_part(raw, n) for n in ("metadata", "spec", "status"))
        containers = [c for c in spec.get("containers") or () if isinstance(c, Mapping)]
        initial = [c for c in spec.get("initContainers") or () if isinstance(c, Mapping)]
        statuses = [
            each
            for kind in ("containerStatuses", "initContainerStatuses")
            for each in status.get(kind) or ()
        ]
        ports = (port for c in containers for port in c.get("ports") or ())
        conditions = {c.get("type"): c.get("status") for c in status.get("conditions") or ()}
        return cls(
            namespace=str(metadata.get("namespace")),
            name=str(metadata.get("name")),
            generated_from=str(metadata.get("generateName") or ""),
            node=str(spec.get("nodeName") or ""),
            containers=tuple(str(c.get("name")) for c in [*containers, *initial]),
            restarted=frozenset(str(s.get("name")) for s in statuses if s.get("restartCount")),
            ready=conditions.get("Ready") == "True",
            metrics_port=next(
                (p.get("containerPort") for p in ports if p.get("name") == "metrics"), None
            ),
            arguments=tuple(str(a) for c in containers for a in c.get("args") or ()),
            image=str(containers[0].get("image")) if containers else "",
        )

    def argument(self, name: str) -> str:
        """Return the value of an argument of the program; empty: it has none."""
        start = f"--{name}="
        return next((a.removeprefix(start) for a in self.arguments if a.startswith(start)), "")

    @property
    def is_agent(self) -> bool:
        """Say whether it is a node's agent."""
        return bool(self.argument("damon-root"))

    def is_meant_by(self, name: str) -> bool:
        """Say whether a name is its own, of a pod that was there before, or of what made it."""
        made_by = self.generated_from
        return name == self.name or bool(
            made_by and name and (name.startswith(made_by) or made_by.startswith(f"{name}-"))
        )


def _part(raw: Raw, name: str) -> Raw:
    part = raw.get(name)
    return part if isinstance(part, Mapping) else {}


def file_name(name: str) -> str:
    """Return a name that is one of a file, whoever chose it."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"


_README: Final = """\
kubectl damon sysdump

What is here
  versions.json          of this program, and the images of the installation's pods
  apiserver.json         of the API server
  damontunings/          the DamonTunings
  damonnodes/            the DamonNodes: the plan of each node, and what its agent says
  NAMESPACE/             the installation: its pods, DaemonSets, Deployments, Leases and Events
  NAMESPACE/logs/        logs of its pods, and of the instances before, the last part of each
  NAMESPACE/metrics/     what its pods serve at /metrics
  events.json            Events about DamonTunings and DamonNodes
  missing.txt            what could not be had, and why

What is not here, on purpose
  Environment variables, Secrets, ConfigMaps, managedFields, the values of annotations that are not
  damon-operator's, and whatever in logs looks like a token or a password. Names of pods, namespaces
  and nodes are here: look before you give it away.

What was not collected
  The trees of our kdamonds in the nodes' sysfs: that takes a command in the agents' pods. What the
  agents say of them is in damonnodes/ (status.lanes) and in the metrics. These collect them:
"""


def about(version: str, pods: Sequence[OurPod]) -> tuple[Part, ...]:
    """Return the README of a dump, and the versions, which no cluster is asked for."""
    commands = [
        f"  kubectl exec -n {pod.namespace} {pod.name} -c agent -- grep -rs . "
        f"{pod.argument('damon-root')}/admin/kdamonds > {pod.name}.kdamonds.txt   # {pod.node}"
        for pod in pods
        if pod.is_agent
    ]
    told = {"kubectlDamon": version, "images": sorted({pod.image for pod in pods})}
    return (
        Part("README.txt", _README + "\n".join(commands or ["  (no agent was found)"]) + "\n"),
        Part.of("versions", told),
    )
