"""What kube-apiserver and its admission do with the built-in kinds, as far as clients notice."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from damon_mock.kube.failures import (
    Body,
    Cause,
    forbidden,
    forbidden_field,
    invalid_value,
    required,
)
from damon_mock.kube.resources import CRD, NAMESPACE, NODE, POD, PRIORITY_CLASS, Resource

NAMESPACES: Final = ("default", "kube-system", "kube-public", "kube-node-lease")
PRIORITY_CLASSES: Final = (
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
)

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
QUALIFIED: Final = re.compile(r"([^/]+/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_ANNOTATIONS_BYTES: Final = 256 * 1024

Classes = Callable[[str], Mapping[str, Any] | None]
"""Name of a PriorityClass ("" for the default one) -> the object."""


def prepare(resource: Resource, new: Body, old: Body | None, *, now: str, classes: Classes) -> Body:
    """Return the object with what the server fills in; 403 where admission refuses."""
    match (resource.plural, resource.group):
        case ("pods", "") if old is None:
            return _new_pod(new, classes)
        case ("namespaces", "") if old is None:
            labels = {**(new["metadata"].get("labels") or {})}
            labels["kubernetes.io/metadata.name"] = new["metadata"]["name"]
            metadata = {**new["metadata"], "labels": labels}
            return {**new, "metadata": metadata, "status": {"phase": "Active"}}
        case ("priorityclasses", _):
            return {"preemptionPolicy": "PreemptLowerPriority", **new}
        case ("customresourcedefinitions", _):
            return _definition(new, now)
        case _:
            return new


def refusals(resource: Resource, new: Body, old: Body | None, subresource: str) -> list[Cause]:
    """Return what is wrong with an object, apart from what a CRD's schema says."""
    found = _metadata(new["metadata"])
    if resource is POD:
        found += _pod(new, old if subresource != "binding" else None)
    elif resource is PRIORITY_CLASS:
        if "value" not in new:
            found.append(required("value"))
        elif old and old["value"] != new["value"]:
            found.append(forbidden_field("value", "may not be changed in an update."))
    elif resource is CRD:
        found += _definition_refusals(new)
    return found


def protected(resource: Resource, name: str) -> None:
    """Refuse to delete what a cluster cannot be without."""
    if resource is NAMESPACE and name in NAMESPACES:
        raise forbidden("namespaces", "", name, "this namespace may not be deleted")


def is_graceful(resource: Resource, body: Body, node: Body | None) -> bool:
    """Whether a deletion only marks the pod, because a kubelet will end it and then remove it."""
    return (
        resource is POD
        and node is not None
        and bool(node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion"))
        and body.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
    )


def _metadata(metadata: Body) -> list[Cause]:
    found: list[Cause] = []
    name = metadata.get("name", "")
    if not _SUBDOMAIN.fullmatch(name) or len(name) > 253:
        found.append(
            invalid_value(
                "metadata.name",
                name,
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
                "characters, '-' or '.', and must start and end with an alphanumeric character",
            )
        )
    for key, value in (metadata.get("labels") or {}).items():
        if not QUALIFIED.fullmatch(key):
            found.append(invalid_value("metadata.labels", key, "name part must be a label key"))
        if not _LABEL_VALUE.fullmatch(value):
            text = "a valid label must be an empty string or at most 63 alphanumeric characters"
            found.append(invalid_value("metadata.labels", value, text))
    annotations = metadata.get("annotations") or {}
    found += [
        invalid_value("metadata.annotations", key, "name part must be a key")
        for key in annotations
        if not QUALIFIED.fullmatch(key)
    ]
    if sum(len(str(k)) + len(str(v)) for k, v in annotations.items()) > _ANNOTATIONS_BYTES:
        text = f"Too long: may not be more than {_ANNOTATIONS_BYTES} bytes"
        found.append(Cause("metadata.annotations", "FieldValueTooLong", text))
    return found


def _new_pod(pod: Body, classes: Classes) -> Body:
    spec = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "serviceAccountName": "default",
        **pod.get("spec", {}),
    }
    name = spec.get("priorityClassName", "")
    found = classes(name)
    if name and found is None:
        pod_name = pod["metadata"].get("name", "")
        why = f"no PriorityClass with name {name} was found"
        raise forbidden("pods", "", pod_name, why)
    if found is not None:
        spec["priorityClassName"] = found["metadata"]["name"]
    spec["priority"] = found["value"] if found else 0
    status = {**(pod.get("status") or {})}
    status.setdefault("phase", "Pending")
    status["qosClass"] = qos_class(spec)
    return {**pod, "spec": spec, "status": status}


def qos_class(spec: Mapping[str, Any]) -> str:
    """Return the quality-of-service class of a pod spec.

    https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
    """
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    resources = [container.get("resources") or {} for container in containers]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    guaranteed = all(
        name in (r.get("limits") or {})
        and (r.get("requests") or {}).get(name, r["limits"][name]) == r["limits"][name]
        for r in resources
        for name in ("cpu", "memory")
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _pod(new: Body, old: Body | None) -> list[Cause]:
    containers = new.get("spec", {}).get("containers") or []
    if not containers:
        return [required("spec.containers")]
    found = [
        required(f"spec.containers[{index}].name")
        for index, container in enumerate(containers)
        if not container.get("name")
    ]
    if old and _fixed(old["spec"]) != _fixed(new["spec"]):
        text = (
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
            "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds`"
        )
        found.append(forbidden_field("spec", text))
    return found


_CHANGEABLE: Final = frozenset(
    {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "ephemeralContainers"}
)


def _fixed(spec: Body) -> Body:
    fixed = {name: value for name, value in spec.items() if name not in _CHANGEABLE}
    for field in ("containers", "initContainers"):
        fixed[field] = [
            {name: value for name, value in container.items() if name != "image"}
            for container in spec.get(field) or ()
        ]
    return fixed


def _definition(crd: Body, now: str) -> Body:
    spec = crd.get("spec") or {}
    names = {**(spec.get("names") or {})}
    if "kind" in names:
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")
    conditions = [
        {
            "type": kind,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": now,
        }
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    stored = [v["name"] for v in spec.get("versions") or () if v.get("storage")]
    previous = (crd.get("status") or {}).get("conditions")
    return {
        **crd,
        "spec": {"conversion": {"strategy": "None"}, **spec, "names": names},
        "status": {
            "conditions": previous or conditions,
            "acceptedNames": names,
            "storedVersions": stored,
        },
    }


def _definition_refusals(crd: Body) -> list[Cause]:
    spec = crd["spec"]
    plural, group = spec["names"].get("plural"), spec.get("group")
    found: list[Cause] = []
    if crd["metadata"]["name"] != f"{plural}.{group}":
        text = f'must be spec.names.plural+"."+spec.group: {plural}.{group}'
        found.append(invalid_value("metadata.name", crd["metadata"]["name"], text))
    if spec.get("scope") not in {"Cluster", "Namespaced"}:
        found.append(required("spec.scope"))
    if sum(bool(v.get("storage")) for v in spec.get("versions") or ()) != 1:
        text = "must have exactly one version marked as storage version"
        found.append(invalid_value("spec.versions", len(spec.get("versions") or ()), text))
    for index, version in enumerate(spec.get("versions") or ()):
        schema = (version.get("schema") or {}).get("openAPIV3Schema")
        if not schema:
            found.append(required(f"spec.versions[{index}].schema.openAPIV3Schema"))
        elif schema.get("type") != "object":
            where = f"spec.versions[{index}].schema.openAPIV3Schema.type"
            found.append(invalid_value(where, schema.get("type"), "must be object at the root"))
    return found


def node_of(body: Body) -> str:
    """Return the node a pod is assigned to."""
    name: str = body.get("spec", {}).get("nodeName", "")
    return name


__all__ = [
    "NAMESPACES",
    "NODE",
    "PRIORITY_CLASSES",
    "is_graceful",
    "node_of",
    "prepare",
    "protected",
    "qos_class",
    "refusals",
]
