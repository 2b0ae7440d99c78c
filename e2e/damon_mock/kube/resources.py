"""The resources this server serves: the built-in ones, and those that CRDs add."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from damon_mock.kube import shapes
from damon_mock.kube.failures import Body, NoSuchPage, no_such_path
from damon_mock.kube.shapes import Schema


@dataclass(frozen=True)
class Column:
    """A column of a server-side table; priority 1 shows only with -o wide."""

    name: str
    json_path: str
    type: str = "string"
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Resource:
    """One served resource of one API version."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False
    """Whether it has a status subresource."""
    generations: bool = True
    """Whether metadata.generation counts the changes of everything but metadata and status."""
    fields: tuple[str, ...] = ()
    """Fields a fieldSelector may name besides metadata.name and metadata.namespace."""
    columns: tuple[Column, ...] | None = None
    """None: the table has its own printer, or only name and age."""
    shape: Schema = field(default_factory=lambda: shapes.METADATA_ONLY)
    """How lists and maps merge; for a custom resource its whole schema."""
    custom: bool = False
    """Defined by a CRD: pruned, defaulted and validated by `shape`."""
    store_as: str = ""
    """The collection, when it is not the resource's own (Events have two API groups)."""

    @property
    def api_version(self) -> str:
        """Return GROUP/VERSION, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def collection(self) -> str:
        """Return the key of the collection the objects are in."""
        return self.store_as or (f"{self.plural}.{self.group}" if self.group else self.plural)

    @property
    def list_kind(self) -> str:
        """Return the kind of a list of these."""
        return f"{self.kind}List"

    @property
    def singular(self) -> str:
        """Return the name kubectl accepts for one of these."""
        return self.kind.lower()


_POD_FIELDS: Final = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)
_EVENT_FIELDS: Final = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)

CRD: Final = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    status=True,
    columns=(Column("Created At", ".metadata.creationTimestamp"),),
)
NAMESPACE: Final = Resource(
    "",
    "v1",
    "namespaces",
    "Namespace",
    namespaced=False,
    short_names=("ns",),
    status=True,
    generations=False,
    fields=("status.phase",),
    columns=(Column("Status", ".status.phase"), Column("Age", shapes.CREATED, "date")),
)
NODE: Final = Resource(
    "",
    "v1",
    "nodes",
    "Node",
    namespaced=False,
    short_names=("no",),
    status=True,
    generations=False,
    fields=("spec.unschedulable",),
    shape=shapes.NODE,
)
POD: Final = Resource(
    "",
    "v1",
    "pods",
    "Pod",
    namespaced=True,
    short_names=("po",),
    categories=("all",),
    status=True,
    fields=_POD_FIELDS,
    shape=shapes.POD,
)
EVENT: Final = Resource(
    "",
    "v1",
    "events",
    "Event",
    namespaced=True,
    short_names=("ev",),
    generations=False,
    fields=_EVENT_FIELDS,
)
PRIORITY_CLASS: Final = Resource(
    "scheduling.k8s.io",
    "v1",
    "priorityclasses",
    "PriorityClass",
    namespaced=False,
    short_names=("pc",),
    columns=(
        Column("Value", ".value", "integer"),
        Column("Global-Default", ".globalDefault", "boolean"),
        Column("Age", shapes.CREATED, "date"),
        Column("PreemptionPolicy", ".preemptionPolicy", priority=1),
    ),
)
LEASE: Final = Resource(
    "coordination.k8s.io",
    "v1",
    "leases",
    "Lease",
    namespaced=True,
    generations=False,
    columns=(
        Column("Holder", ".spec.holderIdentity"),
        Column("Age", shapes.CREATED, "date"),
    ),
)
_PLAIN: Final = (
    Resource("", "v1", "configmaps", "ConfigMap", True, short_names=("cm",), generations=False),
    Resource(
        "", "v1", "serviceaccounts", "ServiceAccount", True, short_names=("sa",), generations=False
    ),
)
EVENT_NEW: Final = Resource(
    "events.k8s.io",
    "v1",
    "events",
    "Event",
    namespaced=True,
    short_names=("ev",),
    generations=False,
    fields=("reason", "reportingController", "type", "regarding.kind", "regarding.name"),
    store_as="events",
)
BUILT_IN: Final = (POD, NODE, NAMESPACE, EVENT, *_PLAIN, PRIORITY_CLASS, EVENT_NEW, LEASE, CRD)


class Catalogue:
    """All resources served now; grows and shrinks with the CRDs."""

    def __init__(self) -> None:
        self._by_path = {(r.group, r.version, r.plural): r for r in BUILT_IN}

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._by_path.values())

    def at(self, group: str, version: str, plural: str) -> Resource:
        """Return the resource of a path; 404 when none is served there."""
        found = self._by_path.get((group, version, plural))
        if found:
            return found
        raise no_such_path() if any(r.group == group for r in BUILT_IN) else NoSuchPage

    def of(self, body: Mapping[str, Any]) -> Resource:
        """Return the resource a manifest belongs to, by apiVersion and kind."""
        group, _, version = str(body.get("apiVersion", "")).rpartition("/")
        for resource in self:
            if (resource.group, resource.version, resource.kind) == (
                group,
                version,
                body.get("kind"),
            ):
                return resource
        raise no_such_path()

    def named(self, name: str) -> Resource:
        """Return the resource kubectl would take for a plural, singular, short or full name."""
        for resource in self:
            names = (resource.plural, resource.kind, resource.singular, *resource.short_names)
            if name in names or name == f"{resource.plural}.{resource.group}":
                return resource
        raise no_such_path()

    def groups(self) -> dict[str, list[str]]:
        """Return the versions of every named group."""
        found: dict[str, list[str]] = {}
        for resource in self:
            versions = found.setdefault(resource.group, [])
            if resource.version not in versions:
                versions.append(resource.version)
        found.pop("", None)
        return found

    def install(self, crd: Body) -> None:
        """Serve what a CustomResourceDefinition defines."""
        self.remove(crd)
        for version in crd["spec"]["versions"]:
            if version.get("served"):
                resource = _custom(crd["spec"], version)
                self._by_path[resource.group, resource.version, resource.plural] = resource

    def remove(self, crd: Body) -> None:
        """Serve it no longer."""
        group, plural = crd["spec"]["group"], crd["spec"]["names"]["plural"]
        for key in [k for k in self._by_path if (k[0], k[2]) == (group, plural)]:
            del self._by_path[key]


def _custom(spec: Body, version: Body) -> Resource:
    names = spec["names"]
    columns = version.get("additionalPrinterColumns") or [
        {"name": "Age", "type": "date", "jsonPath": shapes.CREATED}
    ]
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        status="status" in version.get("subresources", {}),
        fields=tuple(f["jsonPath"].lstrip(".") for f in version.get("selectableFields", ())),
        columns=tuple(
            Column(
                c["name"], c["jsonPath"], c["type"], c.get("description", ""), c.get("priority", 0)
            )
            for c in columns
        ),
        shape=shapes.with_metadata(version["schema"]["openAPIV3Schema"]),
        custom=True,
    )
