"""What the service needs of the API server, and the objects it writes."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from damon_contract import names
from damon_contract.v1alpha1.model import Condition
from damon_contract.v1alpha1.node import NodeCondition, NodeReason
from damon_operator.facts import Written
from damon_operator.planner.plan import ObjectNote, wire
from damon_operator.reconcile.world import Apply
from damon_operator.resources import ListerWatcher, Raw

CONTROLLER: Final = f"{names.GROUP}/operator"
"""reportingController of our Events."""


_OURS: Final = frozenset({names.TUNING_KIND, names.NODE_KIND})


class Port(ListerWatcher, Protocol):
    """The API server, as `cluster.Cluster` offers it. Raises `errors.ApiError`, nothing else."""

    async def apply_node(self, body: Raw) -> Raw:
        """Server-side apply a DamonNode; return it as stored."""

    async def apply_node_status(self, body: Raw) -> Raw:
        """Server-side apply a condition of a DamonNode; return the object as stored.

        Conflict when it has another resourceVersion by now than the body.
        """

    async def delete_node(self, name: str, uid: str) -> None:
        """Delete a DamonNode if it has this uid."""

    async def write_tuning_status(self, name: str, version: str, status: Raw) -> Raw:
        """Replace the status of a DamonTuning, and return it as stored.

        Conflict when it has another resourceVersion by now.
        """

    async def create_event(self, namespace: str, body: Raw) -> None:
        """Create an Event."""


Now = Callable[[], datetime]
"""Returns the time of day, in UTC."""


def rfc3339(moment: datetime) -> str:
    """Return metav1.Time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(moment: datetime) -> str:
    """Return metav1.MicroTime."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def damon_node(action: Apply) -> dict[str, Any]:
    """Return the DamonNode to apply.

    Owned by the Node and garbage-collected with it. No blockOwnerDeletion: that would take the
    right to update the finalizers of nodes.
    """
    owner = {"apiVersion": "v1", "kind": "Node", "name": action.node.name, "uid": action.node.uid}
    exempt = {names.EXEMPT_PODS_ANNOTATION: action.exempt} if action.exempt else {}
    revision = {names.REVISION_LABEL: action.revision} if action.revision else {}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NODE_KIND,
        "metadata": {
            "name": action.node.name,
            "ownerReferences": [owner],
            **({"labels": revision} if revision else {}),
            **({"annotations": exempt} if exempt else {}),
        },
        "spec": wire(action.spec),
    }


def silenced_node(written: Written, namespace: str, *, now: datetime) -> dict[str, Any]:
    """Return what to apply to the status of a DamonNode whose agent is silent: Ready alone."""
    said = Condition(
        type=NodeCondition.READY,
        status="Unknown",
        reason=NodeReason.AGENT_SILENT,
        message=f"the agent of this node has stopped renewing its Lease {namespace}/"
        f"{written.lease}: it is dead, hung or cut off from the API server, and the rest of this "
        "status is what it said last. Look at its pod on this node",
        last_transition_time=rfc3339(now),
    )
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NODE_KIND,
        "metadata": {"name": written.name, "resourceVersion": written.version},
        "status": {"conditions": [said.model_dump(mode="json", by_alias=True)]},
    }


def event(about: ObjectNote, *, instance: str, now: datetime) -> dict[str, Any]:
    """Return the Event that tells people about an object.

    Its name is made from what it says, so that saying it again after a restart is a Conflict and
    not a second Event. Of a condition it is made from the cause and the hour: one that comes and
    goes is told once an hour.
    """
    note = about.note
    condition = note.kind in _OURS
    said = f"{now.astimezone(UTC):%Y-%m-%dT%H}" if condition else note.message
    digest = sha256(f"{about.uid}\0{note.reason}\0{said}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about.name[:200].rstrip('.-')}.{digest}",
            "namespace": event_namespace(about),
        },
        "eventTime": micro_time(now),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "Judge" if condition else "ReadAnnotation",
        "reason": str(note.reason),
        "type": "Normal" if note.good else "Warning",
        "note": note.message[:1024],
        "regarding": {
            "apiVersion": names.API_VERSION if condition else "v1",
            "kind": note.kind,
            **({"namespace": about.namespace} if about.namespace else {}),
            "name": about.name,
            "uid": about.uid,
        },
    }


def event_namespace(about: ObjectNote) -> str:
    """Return where its Event goes: as for all Kubernetes, those of no namespace to `default`."""
    return about.namespace or "default"
