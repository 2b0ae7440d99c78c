"""Server-side tables: what `kubectl get` prints."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from damon_mock.kube import shapes
from damon_mock.kube.failures import Body
from damon_mock.kube.resources import NODE, POD, Column, Resource

_AGE: Final = Column("Age", shapes.CREATED, "date")
_POD: Final = (
    Column("Ready", ""),
    Column("Status", ""),
    Column("Restarts", "", "integer"),
    _AGE,
    Column("IP", ".status.podIP", priority=1),
    Column("Node", ".spec.nodeName", priority=1),
    Column("Nominated Node", ".status.nominatedNodeName", priority=1),
    Column("Readiness Gates", "", priority=1),
)
_NODE: Final = (Column("Status", ""), _AGE, Column("Version", ".status.nodeInfo.kubeletVersion"))
_EVENT: Final = (
    Column("Last Seen", "", "string"),
    Column("Type", ".type"),
    Column("Reason", ".reason"),
    Column("Object", ""),
    Column("Message", ".message"),
)
_STEP: Final = re.compile(
    r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|\[(?P<all>\*)\]|\['(?P<quoted>[^']+)'\]"
    r"|\[\?\(@\.(?P<field>[\w.]+)\s*==\s*(?P<quote>['\"])(?P<value>.*?)(?P=quote)\)\]"
)


def table(resource: Resource, bodies: Sequence[Body], metadata: Body, now: datetime) -> Body:
    """Return a metav1.Table of objects; `metadata` is the list's."""
    columns = _columns(resource)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_definition(column) for column in (_NAME, *columns)],
        "rows": [
            {"cells": _cells(resource, columns, body, now), "object": partial(body)}
            for body in bodies
        ],
    }


def partial(body: Body) -> Body:
    """Return the metadata of an object as an object of its own."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": body["metadata"],
    }


_NAME: Final = Column("Name", ".metadata.name")


def _definition(column: Column) -> Body:
    return {
        "name": column.name,
        "type": column.type,
        "format": "name" if column is _NAME else "",
        "description": column.description,
        "priority": column.priority,
    }


def _columns(resource: Resource) -> tuple[Column, ...]:
    if resource is POD:
        return _POD
    if resource is NODE:
        return _NODE
    if resource.kind == "Event":
        return _EVENT
    return resource.columns if resource.columns is not None else (_AGE,)


def _cells(resource: Resource, columns: Sequence[Column], body: Body, now: datetime) -> list[Any]:
    special: dict[str, Any] = {}
    if resource is POD:
        special = _pod_cells(body)
    elif resource is NODE:
        special = {"Status": "Ready" if _is_ready(body) else "NotReady"}
    elif resource.kind == "Event":
        special = _event_cells(body, now)
    cells = [special.get(column.name, _cell(column, body, now)) for column in columns]
    return [body["metadata"]["name"], *cells]


def _cell(column: Column, body: Body, now: datetime) -> Any:
    found = first(column.json_path, body) if column.json_path else None
    if found is None:
        return "<unknown>" if column is _AGE else None
    if column.type == "date":
        return age(found, now)
    return found


def _pod_cells(body: Body) -> Body:
    status = body.get("status", {})
    containers = status.get("containerStatuses") or []
    ready = sum(bool(container.get("ready")) for container in containers)
    shown = status.get("phase", "Unknown")
    for container in containers:
        state = container.get("state", {})
        reason = state.get("waiting", state.get("terminated", {})).get("reason")
        shown = reason or shown
    if body["metadata"].get("deletionTimestamp"):
        shown = "Terminating"
    return {
        "Ready": f"{ready}/{len(body['spec']['containers'])}",
        "Status": shown,
        "IP": status.get("podIP", "<none>"),
        "Node": body["spec"].get("nodeName", "<none>"),
        "Nominated Node": status.get("nominatedNodeName", "<none>"),
        "Readiness Gates": "<none>",
        "Restarts": sum(container.get("restartCount", 0) for container in containers),
    }


def _event_cells(body: Body, now: datetime) -> Body:
    about = body.get("involvedObject") or body.get("regarding") or {}
    seen = (
        (body.get("series") or {}).get("lastObservedTime")
        or body.get("lastTimestamp")
        or body.get("eventTime")
        or body["metadata"]["creationTimestamp"]
    )
    return {
        "Last Seen": age(seen, now),
        "Object": f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}",
        "Message": body.get("message", body.get("note")),
    }


def _is_ready(body: Body) -> bool:
    conditions = body.get("status", {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def first(json_path: str, body: Any) -> Any:
    """Return the first value a JSONPath of a printer column finds; None when there is none."""
    steps = list(_STEP.finditer(json_path))
    if "".join(step[0] for step in steps) != json_path:
        raise ValueError(f"JSONPath not understood: {json_path!r}")
    return next(_follow(body, steps), None)


def _follow(value: Any, steps: Sequence[re.Match[str]]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, *rest = steps
    for below in _step(value, step):
        yield from _follow(below, rest)


def _step(value: Any, step: re.Match[str]) -> Iterator[Any]:
    if name := step["name"] or step["quoted"]:
        if isinstance(value, Mapping) and name in value:
            yield value[name]
    elif isinstance(value, list):
        if step["index"]:
            yield from value[int(step["index"]) :][:1]
        elif step["all"]:
            yield from value
        else:
            path = f".{step['field']}"
            yield from (item for item in value if str(first(path, item)) == step["value"])


def age(timestamp: str, now: datetime) -> str:
    """Return the time since, as k8s.io/apimachinery/pkg/util/duration prints it."""
    try:
        then = datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    seconds = int((now - then).total_seconds())
    if seconds < -1:
        return "<invalid>"
    return _human(max(seconds, 0))


def _human(seconds: int) -> str:
    """Two units where the first alone is coarse, as HumanDuration in Go."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    forms = (
        (120, f"{seconds}s", ""),
        (600, f"{minutes}m", f"{seconds % 60}s"),
        (3 * 3600, f"{minutes}m", ""),
        (8 * 3600, f"{hours}h", f"{minutes % 60}m"),
        (48 * 3600, f"{hours}h", ""),
        (8 * 86400, f"{days}d", f"{hours % 24}h"),
    )
    for below, first_unit, second_unit in forms:
        if seconds < below:
            return first_unit + ("" if second_unit.startswith("0") else second_unit)
    return f"{days}d"
