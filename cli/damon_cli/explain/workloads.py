"""Which pods a name on the command line means."""

from typing import Any, Final, NamedTuple

from damon_cli.client import Client, Raw, object_path, of_namespace
from damon_cli.errors import UsageError

_APPS: Final = "/apis/apps/v1"


class _Kind(NamedTuple):
    group: str
    plural: str
    words: tuple[str, ...]


_POD: Final = _Kind("/api/v1", "pods", ("pod", "pods", "po"))
KINDS: Final = (
    _POD,
    _Kind(_APPS, "deployments", ("deploy", "deployment", "deployments")),
    _Kind(_APPS, "statefulsets", ("sts", "statefulset", "statefulsets")),
    _Kind(_APPS, "daemonsets", ("ds", "daemonset", "daemonsets")),
    _Kind(_APPS, "replicasets", ("rs", "replicaset", "replicasets")),
    _Kind("/apis/batch/v1", "jobs", ("job", "jobs")),
)


class Wanted(NamedTuple):
    """One object that a person has named."""

    group: str
    plural: str
    name: str


def wanted(words: list[str]) -> Wanted:
    """Read NAME, KIND/NAME or KIND NAME; raise UsageError."""
    kind, name = "pod", words[0]
    if len(words) == 2:
        kind, name = words
    elif "/" in name:
        kind, _, name = name.partition("/")
    elif any(name in each.words for each in KINDS):
        raise UsageError(f"which {name}?", f"kubectl damon explain {name} NAME")
    for each in KINDS:
        if kind.lower() in each.words and name and "/" not in name:
            return Wanted(each.group, each.plural, name)
    known = ", ".join(each.words[0] for each in KINDS)
    raise UsageError(f"{'/'.join(words)} names no pod or workload", f"known kinds: {known}")


def pods_of(client: Client, named: Wanted, namespace: str) -> list[Raw]:
    """Return the pods of an object, a pod itself included."""
    path = object_path(of_namespace(namespace, named.plural, group=named.group), named.name)
    found = client.get(path)
    if named.plural == _POD.plural:
        return [found]
    selector = _selector((found.get("spec") or {}).get("selector") or {})
    pods = client.items(of_namespace(namespace, "pods"), labels=selector)
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def _selector(selector: dict[str, Any]) -> str:
    """Return a label selector of an object as a query has it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, values = each.get("key"), ",".join(each.get("values") or ())
        match each.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(str(key))
            case _:
                parts.append(f"!{key}")
    if not parts:
        raise UsageError("this workload selects no pods of its own")
    return ",".join(parts)
