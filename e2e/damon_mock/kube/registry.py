"""The verbs: create, replace, patch, apply, delete, each from a body to a stored revision."""

import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from damon_mock.kube import admission, apply, failures, fields, strategies, validation
from damon_mock.kube.failures import Body
from damon_mock.kube.garbage import Dependants
from damon_mock.kube.ownership import Manager, Owners
from damon_mock.kube.resources import CRD, NAMESPACE, NODE, POD, Catalogue, Resource
from damon_mock.kube.store import Key, Revision, Store
from damon_mock.kube.validation import RuleCheck

Clock = Callable[[], datetime]
_SUFFIX: Final = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True)
class Write:
    """How a write is meant; the query parameters of the request."""

    manager: str = "unknown"
    subresource: str = ""
    dry_run: bool = False
    validation: Literal["Strict", "Warn", "Ignore"] = "Warn"
    track: bool = True
    """Whether managedFields are kept; off for loading thousands of objects."""
    whole: bool = False
    """Whether a created object keeps its status, as in a restored backup."""


@dataclass(frozen=True)
class Outcome:
    """What a write led to."""

    revision: Revision
    created: bool = False
    gone: bool = False
    warnings: tuple[str, ...] = ()


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class Registry:
    """All objects of the cluster, and the rules every write goes through."""

    def __init__(
        self, *, clock: Clock = utc_now, rules: RuleCheck | None = None, history: int = 20_000
    ) -> None:
        self.catalogue = Catalogue()
        self.store = Store(history=history)
        self.rules = rules
        self._clock = clock
        self._dependants = Dependants()
        for body in admission.initial_objects():
            self.create(self.catalogue.of(body), "", body, Write(manager="kube-apiserver"))

    def now(self) -> str:
        """Return the time as metadata has it."""
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def read(self, resource: Resource, key: Key) -> Revision:
        """Return an object; 404 when there is none."""
        revision = self.store.get(resource.collection, key)
        if revision is None:
            raise failures.not_found(resource.plural, resource.group, key[1])
        return revision

    # -- writes -----------------------------------------------------------------------------

    def create(self, resource: Resource, namespace: str, body: Body, write: Write) -> Outcome:
        """Create an object; 409 when the name is taken, 404 when the namespace is missing."""
        admission.check_address(resource, namespace, body)
        metadata = {**body["metadata"]}
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(secrets.choice(_SUFFIX) for _ in range(5))
            metadata["name"] = metadata["generateName"] + suffix
        if resource.namespaced:
            metadata["namespace"] = namespace
            self.read(NAMESPACE, ("", namespace))
        key = (namespace if resource.namespaced else "", metadata.get("name", ""))
        if metadata.get("resourceVersion"):
            raise failures.ApiFailure(
                500, "InternalError", "resourceVersion should not be set on objects to be created"
            )
        if self.store.get(resource.collection, key):
            raise failures.already_exists(resource.plural, resource.group, key[1])
        body, warnings = self._known(resource, {**body, "metadata": metadata}, write)
        return self._create(resource, key, body, write, warnings=warnings)

    def replace(self, resource: Resource, key: Key, body: Body, write: Write) -> Outcome:
        """Replace an object (PUT); 409 unless resourceVersion is the stored one or left out."""
        admission.check_name(resource, key, body)
        old = self.read(resource, key)
        if admission.needs_version(resource) and not body["metadata"].get("resourceVersion"):
            cause = failures.invalid_value(
                "metadata.resourceVersion", 0, "must be specified for an update"
            )
            raise failures.invalid(resource.kind, resource.group, key[1], [cause])
        admission.check_uid(resource, key, old.body, body)
        admission.check_version(resource, key, old.body, body)
        body, warnings = self._known(resource, body, write)
        return self._update(resource, key, old, body, write, warnings=warnings)

    def patch(
        self, resource: Resource, key: Key, change: Callable[[Body], Body], write: Write
    ) -> Outcome:
        """Change an object by a function of its body that returns a new one."""
        old = self.read(resource, key)
        changed = change(old.body)
        admission.check_version(resource, key, old.body, changed)
        admission.check_uid_kept(resource, old.body, changed, write.subresource)
        body, warnings = self._known(resource, changed, write, patch=True)
        return self._update(resource, key, old, body, write, warnings=warnings)

    def apply(
        self, resource: Resource, key: Key, body: Body, write: Write, *, force: bool
    ) -> Outcome:
        """Server-side apply; creates the object when it does not exist (not its status)."""
        admission.check_name(resource, key, body)
        if resource.custom:
            admission.check_typed(resource, key, body)
        body = admission.without_reset_fields(resource, body, write.subresource)
        old = self.store.get(resource.collection, key)
        if old is None and write.subresource:
            raise failures.not_found(resource.plural, resource.group, key[1])
        if old is None and resource.namespaced:
            self.read(NAMESPACE, ("", key[0]))
        if old is not None:
            admission.check_version(resource, key, old.body, body)
            admission.check_uid_kept(resource, old.body, body, write.subresource)
        manager = Manager(write.manager, "Apply", resource.api_version, write.subresource)
        live = old.body if old else None
        merged = apply.apply(live, body, resource.shape, manager, force=force, now=self.now())
        if old is None:
            return self._create(resource, key, merged, write, owned=True)
        return self._update(resource, key, old, merged, write, owned=True)

    def delete(
        self,
        resource: Resource,
        key: Key,
        *,
        grace_seconds: int | None = None,
        uid: str = "",
        dry_run: bool = False,
    ) -> Outcome:
        """Delete an object, or mark it when finalizers or a kubelet have to come first."""
        old = self.read(resource, key)
        strategies.protected(resource, key[1])
        if uid and uid != old.body["metadata"]["uid"]:
            why = (
                f"the UID in the precondition ({uid}) does not match the UID in record "
                f"({old.body['metadata']['uid']}). The object might have been deleted and then "
                "recreated"
            )
            raise failures.conflict(resource.plural, resource.group, key[1], why)
        if dry_run:
            return Outcome(old)
        grace = self._grace_seconds(resource, old.body, grace_seconds)
        waits = bool(old.body["metadata"].get("finalizers") or grace)
        if waits or resource is POD:  # watchers see that a pod is ending, even if it ends at once
            old = self._mark_deleted(resource, key, old, grace)
        if waits:
            return Outcome(old)
        return Outcome(self._remove(resource, key, old.body), gone=True)

    # -- the way of a write -------------------------------------------------------------------

    def _known(
        self, resource: Resource, body: Body, write: Write, *, patch: bool = False
    ) -> tuple[Body, tuple[str, ...]]:
        """Prune unknown fields of custom resources, or refuse them when validation is Strict."""
        if not resource.custom:
            return body, ()
        unknown = validation.unknown_fields(body, resource.shape)
        if not unknown:
            return body, ()
        said = tuple(f'unknown field "{path}"' for path in unknown)
        if write.validation == "Strict":
            raise admission.strict_refusal(resource, body, said, patch=patch)
        warnings = said if write.validation == "Warn" else ()
        return validation.prune(body, resource.shape), warnings

    def _create(
        self,
        resource: Resource,
        key: Key,
        body: Body,
        write: Write,
        *,
        warnings: tuple[str, ...] = (),
        owned: bool = False,
    ) -> Outcome:
        if resource.status and not write.whole and resource is not NODE:
            body = {name: value for name, value in body.items() if name != "status"}
        now = self.now()
        managed = body["metadata"].get("managedFields") if owned else None
        metadata = admission.new_metadata(body["metadata"], uid=str(uuid.uuid4()), now=now)
        if resource.generations:
            metadata["generation"] = 1
        if resource.namespaced:
            metadata["namespace"] = key[0]
        said = {**body, "metadata": metadata}
        new = self._filled(resource, said, None)
        self._refuse(resource, new, None, write)
        if not owned and write.track:
            owners = Owners()
            manager = Manager(write.manager, "Update", resource.api_version, write.subresource)
            # What a CRD's defaults fill in is the creator's; what the server knows of is nobody's.
            kept = new if resource.custom else said
            owners.updated(manager, {}, fields.leaves(kept, resource.shape), now)
            managed = owners.wire()
        if managed:
            new["metadata"] = {**new["metadata"], "managedFields": managed}
        if write.dry_run:
            return Outcome(Revision(new, 0), created=True, warnings=warnings)
        revision = self._put(resource, key, new)
        if self._dependants.is_orphaned((resource.collection, key)):
            self._remove(resource, key, revision.body)
        return Outcome(revision, created=True, warnings=warnings)

    def _update(
        self,
        resource: Resource,
        key: Key,
        old: Revision,
        body: Body,
        write: Write,
        *,
        warnings: tuple[str, ...] = (),
        owned: bool = False,
    ) -> Outcome:
        new = admission.separated(resource, old.body, body, write.subresource)
        metadata = admission.kept_metadata(old.body["metadata"], new["metadata"])
        managed = body["metadata"].get("managedFields") if owned else None
        new = self._filled(resource, {**new, "metadata": metadata}, old.body)
        if resource.generations and admission.differs_in_spec(old.body, new):
            new["metadata"]["generation"] = old.body["metadata"].get("generation", 0) + 1
        self._refuse(resource, new, old.body, write)
        if not owned and write.track:
            owners = Owners.of(old.body)
            manager = Manager(write.manager, "Update", resource.api_version, write.subresource)
            before = fields.leaves(old.body, resource.shape)
            owners.updated(manager, before, fields.leaves(new, resource.shape), self.now())
            managed = owners.wire()
        if managed is None:
            managed = old.body["metadata"].get("managedFields")
        if managed:
            new["metadata"]["managedFields"] = managed
        if admission.is_same(old.body, new):
            return Outcome(old, warnings=warnings)
        if write.dry_run:
            return Outcome(Revision(new, old.version), warnings=warnings)
        if admission.is_released(new):
            return Outcome(self._remove(resource, key, new), gone=True, warnings=warnings)
        return Outcome(self._put(resource, key, new), warnings=warnings)

    def _filled(self, resource: Resource, body: Body, old: Body | None) -> Body:
        if resource.custom:
            metadata = body["metadata"]
            body = validation.default(body, resource.shape)
            body["metadata"] = metadata
        filled = strategies.prepare(
            resource, body, old, now=self.now(), classes=self._priority_class
        )
        return {"apiVersion": resource.api_version, "kind": resource.kind, **filled}

    def _refuse(self, resource: Resource, new: Body, old: Body | None, write: Write) -> None:
        causes = strategies.refusals(resource, new, old, write.subresource)
        if resource.custom:
            causes += validation.refusals(new, resource.shape, self.rules, old)
        if causes:
            name = new["metadata"].get("name", "")
            raise failures.invalid(resource.kind, resource.group, name, causes)

    def _priority_class(self, name: str) -> Mapping[str, Any] | None:
        collection = self.store.collection("priorityclasses.scheduling.k8s.io")
        if name:
            found = collection.objects.get(("", name))
            return found.body if found else None
        classes = (revision.body for revision in collection.objects.values())
        return next((body for body in classes if body.get("globalDefault")), None)

    def _put(self, resource: Resource, key: Key, body: Body) -> Revision:
        revision = self.store.put(resource.collection, key, body)
        self._dependants.written((resource.collection, key), revision.body)
        if resource is CRD:
            self.catalogue.install(revision.body)
        return revision

    # -- the way out --------------------------------------------------------------------------

    def _grace_seconds(self, resource: Resource, body: Body, asked: int | None) -> int:
        node = self.store.get("nodes", ("", strategies.node_of(body)))
        if not strategies.is_graceful(resource, body, node.body if node else None):
            return 0
        default: int = body["spec"].get("terminationGracePeriodSeconds", 30)
        return default if asked is None else asked

    def _mark_deleted(self, resource: Resource, key: Key, old: Revision, grace: int) -> Revision:
        metadata = {**old.body["metadata"]}
        marked = "deletionTimestamp" in metadata
        if marked and metadata["deletionGracePeriodSeconds"] <= grace:
            return old
        metadata.setdefault("deletionTimestamp", self.now())
        metadata["deletionGracePeriodSeconds"] = grace
        if resource.generations and not marked:
            metadata["generation"] = metadata.get("generation", 0) + 1
        return self._put(resource, key, {**old.body, "metadata": metadata})

    def _remove(self, resource: Resource, key: Key, body: Body) -> Revision:
        if resource is NAMESPACE:
            self._empty(lambda r, k: r.namespaced and k[0] == key[1])
        if resource is CRD:
            spec = body["spec"]
            name = f"{spec['names']['plural']}.{spec['group']}"
            self._empty(lambda r, _: r.custom and r.collection == name)
            self.catalogue.remove(body)
            self.store.end_subscriptions(name)
        revision = self.store.remove(resource.collection, key, body)
        place = (resource.collection, key)
        for collection, dependant in self._dependants.removed(place, body["metadata"]["uid"]):
            owned = next((r for r in self.catalogue if r.collection == collection), None)
            if owned and self.store.get(collection, dependant):
                self.delete(owned, dependant)
        return revision

    def _empty(self, condition: Callable[[Resource, Key], bool]) -> None:
        for resource in list(self.catalogue):
            for key in list(self.store.collection(resource.collection).objects):
                if condition(resource, key):
                    self.delete(resource, key, grace_seconds=0)
