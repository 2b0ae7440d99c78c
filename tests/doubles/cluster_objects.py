"""Raw API objects of a small cluster, for tests of what reads them."""

import hashlib
from pathlib import Path
from typing import Any

CRDS = Path(__file__).parents[2] / "crds"
TIME = "2026-01-01T00:00:00Z"
GIB = 2**30


def container_id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pod(
    name: str,
    node: str = "n1",
    *,
    namespace: str = "shop",
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    phase: str = "Running",
    qos: str = "Burstable",
    runs: bool = True,
    id_text: str = "",
    **spec: Any,
) -> dict[str, Any]:
    state = {"running": {"startedAt": TIME}} if runs else {"waiting": {"reason": "ErrImagePull"}}
    container = {
        "name": "main",
        "image": "i",
        "imageID": "",
        "ready": runs,
        "restartCount": 0,
        "containerID": id_text or f"containerd://{container_id(name)}",
        "state": state,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "annotations": annotations or {},
            "labels": labels or {},
        },
        "spec": {
            **({"nodeName": node} if node else {}),
            "containers": [{"name": "main", "image": "i"}],
            **spec,
        },
        "status": {"phase": phase, "qosClass": qos, "containerStatuses": [container]},
    }


def prioritised(name: str, asked: int | str = 30, node: str = "n1", **more: Any) -> dict[str, Any]:
    return pod(name, node, annotations={"damon-operator.io/priority": str(asked)}, **more)


def unplaced_pod(name: str, *containers: str, **spec: Any) -> dict[str, Any]:
    """Return a pod as its owner creates it: no node has it yet."""
    named = [{"name": container, "image": "none"} for container in containers or ("main",)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": named, **spec},
    }


def node(name: str = "n1", **labels: str) -> dict[str, Any]:
    memory = {"capacity": {"memory": "16Gi"}, "allocatable": {"memory": "15Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels},
        "status": memory,
    }


def namespace(name: str = "shop", **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def tuning(name: str = "default", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonTuning",
        "metadata": {"name": name},
        "spec": spec,
    }


def stored(raw: dict[str, Any]) -> dict[str, Any]:
    """Return an object with what an API server adds."""
    added = {"uid": f"uid-{raw['metadata']['name']}", "generation": 1, "creationTimestamp": TIME}
    return {**raw, "metadata": {**added, **raw["metadata"]}}


def condition(kind: str, status: str, reason: str, message: str = "so it is") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": TIME,
    }


def lane(kdamond: int, priority: int, **more: Any) -> dict[str, Any]:
    role = "Protected" if priority >= 80 else "Eager" if priority <= 20 else "Ladder"
    mark = {"markPermille": 1000 - 10 * priority} if role == "Ladder" else {}
    return {
        "kdamond": kdamond,
        "priorities": [priority],
        "role": role,
        "pods": 1,
        "targets": 1,
        "state": "on",
        "active": False,
        **mark,
        **more,
    }


def planned_pod(index: int, *containers: str, priority: int = 50) -> dict[str, Any]:
    """Return a pod of a plan; `containers` are ids, one of its own without."""
    ids = containers or (f"{index:064x}",)
    return {
        "namespace": "default",
        "name": f"pod-{index}",
        "uid": f"uid-pod-{index}",
        "priority": priority,
        "source": "default",
        "containers": [{"name": f"c{n}", "id": c} for n, c in enumerate(ids)],
    }


def planned_node(*pods: dict[str, Any], name: str = "worker-1", **spec: Any) -> dict[str, Any]:
    """Return a DamonNode whose agent has said nothing yet."""
    planned = {"tuning": "default", "mode": "Enforce", "settings": {}, "hash": "h1"}
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonNode",
        "metadata": {"name": name},
        "spec": {**planned, "pods": list(pods), **spec},
    }


def damon_node(
    name: str = "n1",
    *pods: tuple[str, int],
    mode: str = "Enforce",
    ready: tuple[str, str] = ("True", "Applied"),
    available: str = "Available",
    available_bytes: int = 8 * GIB,
    swap_bytes: int = GIB,
    figures: dict[str, dict[str, Any]] | None = None,
    lanes: dict[int, dict[str, Any]] | None = None,
    reported: bool = True,
    **spec: Any,
) -> dict[str, Any]:
    """Return the DamonNode of a node whose agent has put these pods, by name and priority, into
    one lane per priority. `figures` adds to what it says of a pod, `lanes` of a priority's lane."""
    kdamonds = {priority: i for i, priority in enumerate(sorted({p for _, p in pods}))}
    planned = [
        {
            "namespace": "shop",
            "name": pod_name,
            "uid": f"uid-{pod_name}",
            "priority": priority,
            "source": "annotation",
            "containers": [{"name": "main", "id": container_id(pod_name)}],
        }
        for pod_name, priority in pods
    ]
    told = [
        {
            "namespace": "shop",
            "name": pod_name,
            "uid": f"uid-{pod_name}",
            "priority": priority,
            "kdamond": kdamonds[priority],
            "processes": 1,
            **(figures or {}).get(pod_name, {}),
        }
        for pod_name, priority in pods
    ]
    status = {
        "observedHash": "0",
        "conditions": [
            condition("Ready", *ready),
            condition("DamonAvailable", "True" if available == "Available" else "False", available),
        ],
        "memory": {
            "capacityBytes": 16 * GIB,
            "availableBytes": available_bytes,
            "swapTotalBytes": swap_bytes,
            "floorPermille": 70,
            "ceilingPermille": 600,
        },
        "lanes": [
            {**lane(kdamond, priority), **(lanes or {}).get(priority, {})}
            for priority, kdamond in kdamonds.items()
        ],
        "pods": told,
        "targets": len(told),
    }
    plan = planned_node(*planned, name=name, mode=mode, hash="0", **spec)
    return {**plan, **({"status": status} if reported else {})}


def reclaimed(raw: dict[str, Any], takes: str = "FilePages", **more: Any) -> dict[str, Any]:
    """Return a DamonNode whose agent may write memory.reclaim; `more` is what it says of that."""
    said = {"takes": takes, "fileBytes": 0, "workingSetBytes": 0, **more}
    return {**raw, "status": {**raw["status"], "memoryReclaim": said}}


def without_damon(
    *pods: tuple[str, int], takes: str = "FilePages", reason: str = "NoDamon", **more: Any
) -> dict[str, Any]:
    """Return a DamonNode without lanes, which memory.reclaim serves alone unless it takes
    Nothing."""
    served = {"ready": ("False" if takes == "Nothing" else "True", reason), "available": reason}
    raw = damon_node("n1", *pods, **{**served, **more})
    told = [{k: v for k, v in p.items() if k != "kdamond"} for p in raw["status"]["pods"]]
    raw["status"] |= {"lanes": [], "targets": 0, "pods": told}
    return reclaimed(raw, takes)


def crd(group: str, plural: str, kind: str) -> dict[str, Any]:
    """Return a namespaced resource of any shape: the embedded API has no workloads of its own."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [version],
        },
    }
