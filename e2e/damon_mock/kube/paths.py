"""URL paths of resources."""

from dataclasses import dataclass

from damon_mock.kube.failures import no_such_path
from damon_mock.kube.resources import Catalogue, Resource
from damon_mock.kube.store import Key


@dataclass(frozen=True)
class Target:
    """What a resource path names: all objects, those of a namespace, or one."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

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
    if len(rest) > 3 or (namespace and not resource.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if name and resource.namespaced and not namespace:
        raise no_such_path()
    if subresource and not (subresource == "status" and resource.status):
        raise no_such_path()
    return Target(resource, namespace, name, subresource)
