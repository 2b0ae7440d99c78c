"""The cluster as a test or the demo sees it: plain calls in the server's own loop, no HTTP.

They go through the same rules as requests, but leave no trace in the journal. Bodies are copies.
"""

import copy
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from typing import Any

from damon_mock.kube import bodies, listing, patch, selectors
from damon_mock.kube.failures import ApiFailure, Body
from damon_mock.kube.listing import ListOptions
from damon_mock.kube.paths import Target
from damon_mock.kube.registry import Registry, Write
from damon_mock.kube.resources import Resource
from damon_mock.kube.selectors import Predicate
from damon_mock.kube.store import Change, Subscription


class Cluster:
    """Objects by the names kubectl uses: "pods", "dt", "damonnodes"."""

    def __init__(self, registry: Registry, *, manager: str = "mock") -> None:
        self._registry = registry
        self._manager = manager

    def acting_as(self, manager: str) -> "Cluster":
        """Return the same cluster, as another field manager writes to it."""
        return Cluster(self._registry, manager=manager)

    def now(self) -> str:
        """Return the time as metadata has it."""
        return self._registry.now()

    def create(self, manifest: Mapping[str, Any]) -> Body:
        """Create an object with its status, if it has one; the namespace defaults to default."""
        resource, namespace, body = self._addressed(manifest)
        write = Write(manager=self._manager, whole=True, validation="Strict")
        return copy.deepcopy(self._registry.create(resource, namespace, body, write).revision.body)

    def load(self, manifests: Iterable[Mapping[str, Any]]) -> None:
        """Create many objects fast: without managedFields, and the manifests become theirs."""
        write = Write(manager=self._manager, whole=True, track=False)
        for manifest in manifests:
            body = dict(manifest)
            resource = self._registry.catalogue.of(body)
            namespace = body["metadata"].get("namespace", "default") if resource.namespaced else ""
            self._registry.create(resource, namespace, body, write)

    def install(self, *paths: Path) -> None:
        """Create every object of YAML files, or of the YAML files in directories."""
        for path in paths:
            for file in sorted(path.glob("*.yaml")) if path.is_dir() else [path]:
                for manifest in bodies.all_from_yaml(file.read_text(encoding="utf-8")):
                    self.create(manifest)

    def get(self, kind: str, name: str, namespace: str = "default") -> Body:
        """Return an object; raises ApiFailure 404 when there is none."""
        resource = self._registry.catalogue.named(kind)
        return copy.deepcopy(self._registry.read(resource, _key(resource, name, namespace)).body)

    def find(self, kind: str, name: str, namespace: str = "default") -> Body | None:
        """Return an object, or None."""
        try:
            return self.get(kind, name, namespace)
        except ApiFailure as failure:
            if failure.code != 404:
                raise
            return None

    def list(
        self, kind: str, *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> list[Body]:
        """Return all objects that match the selectors, in the order of their names."""
        target = Target(self._registry.catalogue.named(kind), namespace)
        options = ListOptions(labels=labels, fields=fields)
        page = listing.page(self._registry.store, target, options)
        return [copy.deepcopy(revision.body) for revision in page.revisions]

    def patch(
        self,
        kind: str,
        name: str,
        change: Mapping[str, Any],
        *,
        namespace: str = "default",
        subresource: str = "",
    ) -> Body:
        """Change an object by a merge patch; `subresource` as in a path."""
        resource = self._registry.catalogue.named(kind)
        write = Write(manager=self._manager, subresource=subresource, validation="Strict")
        outcome = self._registry.patch(
            resource, _key(resource, name, namespace), lambda body: patch.merge(body, change), write
        )
        return copy.deepcopy(outcome.revision.body)

    def apply(self, manifest: Mapping[str, Any], *, manager: str = "", force: bool = False) -> Body:
        """Server-side apply an object; creates it when it does not exist."""
        resource, namespace, body = self._addressed(manifest)
        key = _key(resource, body["metadata"]["name"], namespace)
        write = Write(manager=manager or self._manager)
        outcome = self._registry.apply(resource, key, body, write, force=force)
        return copy.deepcopy(outcome.revision.body)

    def annotate(
        self,
        kind: str,
        name: str,
        annotations: Mapping[str, str | None],
        namespace: str = "default",
    ) -> Body:
        """Set annotations; None removes one."""
        change = {"metadata": {"annotations": dict(annotations)}}
        return self.patch(kind, name, change, namespace=namespace)

    def bind(self, name: str, namespace: str, node: str) -> None:
        """Give a pod its node, which only a scheduler may."""
        change = {"spec": {"nodeName": node}}
        self.patch("pods", name, change, namespace=namespace, subresource="binding")

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str = "default",
        *,
        grace_seconds: int | None = None,
    ) -> None:
        """Delete an object, as kubectl would; raises ApiFailure 404 when there is none."""
        resource = self._registry.catalogue.named(kind)
        key = _key(resource, name, namespace)
        self._registry.delete(resource, key, grace_seconds=grace_seconds)

    def changes(self, kind: str, *, fields: str = "") -> AsyncGenerator[Change, None]:
        """Follow the changes of a resource from this call on; drop_watches ends it."""
        resource = self._registry.catalogue.named(kind)
        subscription = self._registry.store.subscribe(resource.collection)
        return _followed(subscription, selectors.both("", fields, resource))

    def _addressed(self, manifest: Mapping[str, Any]) -> tuple[Resource, str, Body]:
        body: Body = copy.deepcopy(dict(manifest))
        resource = self._registry.catalogue.of(body)
        namespace = body["metadata"].get("namespace", "default") if resource.namespaced else ""
        return resource, namespace, body


def _key(resource: Resource, name: str, namespace: str) -> tuple[str, str]:
    return (namespace if resource.namespaced else "", name)


async def _followed(subscription: Subscription, matches: Predicate) -> AsyncGenerator[Change, None]:
    try:
        while not subscription.dropped:
            await subscription.wake.wait()
            subscription.wake.clear()
            while subscription.changes:
                change = subscription.changes.popleft()
                if matches(change.after.body):
                    yield change
    finally:
        subscription.close()
