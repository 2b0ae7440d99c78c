"""URL paths of resources."""

from dataclasses import dataclass
from typing import Final

from damon_mock.kube.failures import no_such_path
from damon_mock.kube.resources import POD, Catalogue, Resource
from damon_mock.kube.store import Key

STREAMED: Final = frozenset({"log", "proxy"})
"""Subresources of a pod that kubelets and pods answer."""


@dataclass(frozen=True)
class Target:
    """What a resource path names: all objects, those of a namespace, or one."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    below: str = ""
    """What a path says behind the proxy subresource."""

    @property
    def key(self) -> Key:
        """Return the key of the named object."""
        return self.namespace, self.name


def is_resource(path: str) -> bool:
    """Whether a path is below a group version, and not the group version itself."""
    parts = path.strip("/").split("/")
    return (parts[0] == "api" and len(parts) > 2) or (parts[0] == "apis" and len(parts) > 3)


def target(path: str, catalogue: Catalogue) -> Target:
    """Return what a path names; 404 when no such resource is served."""
    parts = path.strip("/").split("/")
    group = "" if parts[0] == "api" else parts[1]
    version, *rest = parts[1:] if parts[0] == "api" else parts[2:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    resource = catalogue.at(group, version, rest[0])
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    is_streamed = resource is POD and subresource in STREAMED
    if (len(rest) > 3 and not is_streamed) or (namespace and not resource.namespaced):
        raise no_such_path()
    if name and resource.namespaced and not namespace:
        raise no_such_path()
    if subresource and not ((subresource == "status" and resource.status) or is_streamed):
        raise no_such_path()
    if len(rest) > 3 and subresource != "proxy":
        raise no_such_path()
    return Target(resource, namespace, name, subresource, "/".join(rest[3:]))
