"""What the operator keeps of each API object: slim frozen tuples, and how they are read.

A hundred thousand pods must fit into a small container, so a pod's 8 kB of JSON become some 500
bytes: container ids are 32 bytes instead of 64 digits, labels that many pods carry exist once, and
nothing that no decision looks at is kept. Pure: raw API dicts in, facts out; `BadObject` when one
object cannot be read.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import ValidationError

from damon_contract import names, priorities
from damon_contract.priorities import Rejected
from damon_contract.v1alpha1.model import WORD
from damon_contract.v1alpha1.node import MAX_BYTES, MAX_PODS
from damon_contract.v1alpha1.totals import NOTHING, Sums, Totals
from damon_contract.v1alpha1.tuning import DamonTuningSpec, DamonTuningStatus
from damon_operator.capacity import reserved_bytes
from damon_operator.errors import BadObject
from damon_operator.stored_status import read_status

Raw = Mapping[str, Any]
Labels = tuple[tuple[str, str], ...]
"""Label pairs, sorted by key."""

UNREADABLE: Final = "Unreadable"
"""Stands for a reason that is no word."""
NOT_LINUX: Final = "NotLinux"
"""Reason of a node without Linux."""
VIRTUAL_NODE: Final = "VirtualNode"
"""Reason of a node that stands for somebody else's machines: no kernel to tune, no DaemonSet."""

T = TypeVar("T")

_MESSAGE_CHARACTERS: Final = 512
_REASON: Final = re.compile(WORD, re.ASCII)
_CONTAINER_ID: Final = re.compile(r"[a-z0-9.+-]+://([0-9a-f]{64})", re.ASCII)
_STATUS_LISTS: Final = (
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
)


class Container(NamedTuple):
    """A running container."""

    name: str
    id: bytes
    """The runtime's id, 32 bytes."""


class Part(StrEnum):
    """What a pod is to this operator, by its namespace and ServiceAccount."""

    NONE = ""
    AGENT = "agent"
    OTHER = "other"
    """The operator itself, or a hook of its chart."""


Accounts = Mapping[tuple[str, str], Part]
"""The ServiceAccounts of operator and agents, by namespace and name. Whoever may run pods under
one of them may do what operator and agents may; a label proves nothing."""


class Pod(NamedTuple):
    """What decides about a pod."""

    namespace: str
    name: str
    uid: str
    node: str
    labels: Labels
    asked: int | Rejected | None
    """The annotation damon-operator.io/priority, read: 1..100, no priority, or absent."""
    exempt: bool | Rejected
    """The annotation damon-operator.io/exempt, read."""
    priority: int | None
    """spec.priority: the value of its PriorityClass, resolved at admission and never changed."""
    priority_class: str
    qos: str
    phase: str
    runtime_class: str
    containers: tuple[Container, ...]
    unknown: tuple[str, ...] = ()
    """Names of running containers whose ids are not 64 hex digits: they cannot be found."""
    part: Part = Part.NONE


class Node(NamedTuple):
    """What decides about a node."""

    name: str
    uid: str
    labels: Labels
    reserved_bytes: int
    """Capacity minus allocatable memory."""
    agentless: str = ""
    """Reason why no agent can ever run there; empty: one can."""


class Namespace(NamedTuple):
    """What decides about the pods of a namespace."""

    name: str
    labels: Labels
    asked: int | Rejected | None = None
    """The annotation damon-operator.io/priority, read as that of a pod."""
    uid: str = ""


class Tuning(NamedTuple):
    """A DamonTuning; when it is not valid, `problem` says why, and `spec` is the last valid one.

    `spec` is None when this process has seen none.
    """

    name: str
    uid: str
    version: str
    """metadata.resourceVersion: a status is written only to what it was made from."""
    generation: int
    created: str
    """RFC 3339 in UTC, so that text order is time order."""
    spec: DamonTuningSpec | None
    problem: str
    status: DamonTuningStatus | None
    revision: str = ""
    """Of its policy, where it has a rollout."""
    stored: Raw = MappingProxyType({})
    """`status` as the API server has it, fields of other versions included."""


class ReportedCondition(NamedTuple):
    """A condition of a DamonNode."""

    type: str
    status: str
    reason: str
    message: str = ""
    """Kept of Ready alone, while it says that something is wrong."""


class Written(NamedTuple):
    """A DamonNode as the API server has it."""

    name: str
    uid: str
    hash: str
    """spec.hash."""
    digest: str
    """What spec.hash would have to be; another one means that somebody else changed the spec."""
    owner_uid: str
    """uid of the Node it belongs to."""
    observed_hash: str
    """status.observedHash: the plan the agent speaks of."""
    conditions: tuple[ReportedCondition, ...]
    exempt: str = ""
    """The annotation about exempt pods, as a digest."""
    figures: Sums = NOTHING
    version: str = ""
    """metadata.resourceVersion."""
    lease: str = ""
    """Name of the node's Lease, if its agent says that it renews it; empty: it does not."""
    revision: str = ""
    """The label that says by which policy the plan is made."""


class Pool:
    """Hands out one instance of equal values. Forgets all it knows when it is full."""

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._known: dict[Any, Any] = {}

    def share(self, value: T) -> T:
        """Return an equal value that others use too."""
        if len(self._known) >= self._limit:
            self._known.clear()
        shared: T = self._known.setdefault(value, value)
        return shared


NOBODY: Final[Accounts] = MappingProxyType({})

Reader = Callable[[Raw, Any], Any]
"""Reads a raw object; the second argument is the fact read before of the same object, or None."""


def pod_reader(pool: Pool, accounts: Accounts = NOBODY) -> Callable[[Raw, Pod | None], Pod]:
    """Return the reader of pods; `pool` holds what many pods have in common."""

    def read(raw: Raw, _before: Pod | None) -> Pod:
        return read_pod(raw, pool, accounts)

    return read


def read_pod(raw: Raw, pool: Pool, accounts: Accounts = NOBODY) -> Pod:
    """Read a pod."""
    with _reading("Pod", raw):
        metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
        annotations = metadata.get("annotations") or {}
        priority = spec.get("priority")
        namespace = pool.share(_text(metadata["namespace"], 63))
        known, unknown = _running(status, pool)
        return Pod(
            namespace=namespace,
            name=_text(metadata["name"], 253),
            uid=_text(metadata["uid"], 64),
            node=pool.share(_text(spec.get("nodeName") or "", 253)),
            labels=_labels(metadata, pool),
            asked=_asked(metadata),
            exempt=_exempt(annotations.get(names.EXEMPT_ANNOTATION)),
            priority=None if priority is None else int(priority),
            priority_class=pool.share(_text(spec.get("priorityClassName") or "", 253)),
            qos=pool.share(_text(status.get("qosClass") or "", 63)),
            phase=pool.share(_text(status.get("phase") or "", 63)),
            runtime_class=pool.share(_text(spec.get("runtimeClassName") or "", 253)),
            containers=known,
            unknown=unknown,
            part=accounts.get((namespace, str(spec.get("serviceAccountName"))), Part.NONE),
        )


def read_node(raw: Raw, _before: Node | None = None) -> Node:
    """Read a node; memory that cannot be read counts as nothing reserved."""
    with _reading("Node", raw):
        metadata, status = raw["metadata"], raw.get("status") or {}
        return Node(
            name=_text(metadata["name"], 253),
            uid=_text(metadata["uid"], 64),
            labels=_labels(metadata, None),
            reserved_bytes=reserved_bytes(status),
            agentless=_agentless(metadata.get("labels") or {}, status.get("nodeInfo") or {}),
        )


def read_namespace(raw: Raw, _before: Namespace | None = None) -> Namespace:
    """Read a namespace."""
    with _reading("Namespace", raw):
        metadata = raw["metadata"]
        return Namespace(
            name=_text(metadata["name"], 63),
            labels=_labels(metadata, None),
            asked=_asked(metadata),
            uid=_text(metadata.get("uid") or "", 64),
        )


def read_tuning(raw: Raw, before: Tuning | None = None) -> Tuning:
    """Read a DamonTuning; an invalid spec gives a fact that says what is wrong where.

    The spec before it then stays in force: a typo must not switch a cluster's tuning off.
    Strict: a number in quotes is no number, as for the API server. Objects stored before a field
    was known or removed pass the API server unchecked, so the check is ours.
    """
    with _reading(names.TUNING_KIND, raw):
        metadata = raw["metadata"]
        spec: DamonTuningSpec | None = None
        problem = ""
        try:
            spec = DamonTuningSpec.model_validate_json(
                json.dumps(raw.get("spec") or {}), strict=True
            )
        except ValidationError as error:
            problem = _problem(error)
            if before is not None and before.uid == metadata.get("uid"):
                spec = before.spec
        return Tuning(
            name=_text(metadata["name"], 253),
            uid=_text(metadata["uid"], 64),
            version=str(metadata.get("resourceVersion") or ""),
            generation=int(metadata.get("generation") or 0),
            created=str(metadata.get("creationTimestamp") or ""),
            spec=spec,
            problem=problem,
            status=read_status(raw.get("status")),
            stored=raw.get("status") or {},
            revision=spec.policy().revision() if spec and spec.rollout else "",
        )


def read_written(raw: Raw, _before: Written | None = None) -> Written:
    """Read a DamonNode.

    The digest is computed for every report, although most are about the status: after etcd was
    restored from a backup neither generation nor resourceVersion tells one spec from another.
    """
    with _reading(names.NODE_KIND, raw):
        metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
        owners = [o for o in metadata.get("ownerReferences") or () if o.get("kind") == "Node"]
        return Written(
            name=_text(metadata["name"], 253),
            uid=_text(metadata["uid"], 64),
            hash=str(spec.get("hash") or "")[:64],
            digest=spec_digest(spec),
            owner_uid=str(owners[0].get("uid")) if len(owners) == 1 else "",
            observed_hash=str(status.get("observedHash") or "")[:64],
            conditions=tuple(_condition(c) for c in (status.get("conditions") or ())[:16]),
            exempt=digest(
                str((metadata.get("annotations") or {}).get(names.EXEMPT_PODS_ANNOTATION) or "")
            ),
            figures=_figures(status.get("totals")),
            version=str(metadata.get("resourceVersion") or ""),
            lease=_lease(status.get("lease"), metadata["name"]),
            revision=str((metadata.get("labels") or {}).get(names.REVISION_LABEL) or ""),
        )


def _condition(raw: Raw) -> ReportedCondition:
    kind, status, reason = (_word(raw.get(key)) for key in ("type", "status", "reason"))
    said = str(raw.get("message") or "")[:_MESSAGE_CHARACTERS]
    wrong = kind == "Ready" and reason not in {"Applied", "Off", "Applying"}
    return ReportedCondition(kind, status, reason, said if wrong and said.isprintable() else "")


def _figures(totals: object) -> Sums:
    """Read what an agent adds up; more than a node can have, and other nonsense, is nothing."""
    try:
        read = Totals.model_validate(totals, extra="ignore").figures()
    except ValidationError:
        return NOTHING
    most_bytes = max(read.cold_bytes, read.given_up_bytes, read.refaulted_bytes)
    odd = max(read.running, read.spared) > MAX_PODS or most_bytes > MAX_BYTES
    return NOTHING if odd else read


def digest(text: str) -> str:
    """Return a short digest of a text; nothing of nothing."""
    if not text:
        return ""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def spec_digest(spec: Raw) -> str:
    """Return the digest of a DamonNode spec in wire form, over everything but `hash`."""
    content = {key: value for key, value in spec.items() if key != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


@contextmanager
def _reading(kind: str, raw: Raw) -> Iterator[None]:
    """Turn whatever an odd object does to the reader into BadObject with its name."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        metadata = raw.get("metadata")
        name = metadata.get("name") if isinstance(metadata, Mapping) else None
        why = f"{type(error).__name__}: {error}"[:200]
        shown = str(name or "without a name")[:253]
        raise BadObject(kind, shown if shown.isprintable() else ascii(shown), why) from error


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise ValueError(f"{str(value)[:40]!a} is not a text of at most {limit} characters")
    return value


def _word(value: object) -> str:
    """Return one word of a condition. It goes into other objects and logs: no agent may send more.

    The CRD asks for the same, but what was stored before it did is not checked.
    """
    word = value if isinstance(value, str) else ""
    return word if len(word) <= 128 and _REASON.fullmatch(word) else UNREADABLE


def _lease(value: object, node: str) -> str:
    """Return a node's own Lease if its agent states it: another's would hide that one's silence."""
    own = names.agent_lease(node)
    return own if value == own else ""


def _labels(metadata: Raw, pool: Pool | None) -> Labels:
    labels = metadata.get("labels") or {}
    if pool is None:
        return tuple(sorted((str(key), str(value)) for key, value in labels.items()))
    return pool.share(
        tuple(sorted(pool.share((str(key), str(value))) for key, value in labels.items()))
    )


def _asked(metadata: Raw) -> int | Rejected | None:
    asked = (metadata.get("annotations") or {}).get(names.PRIORITY_ANNOTATION)
    return None if asked is None else priorities.from_annotation(str(asked))


def _exempt(annotation: object) -> bool | Rejected:
    if annotation is None or annotation == "false":
        return False
    if annotation == "true":
        return True
    return Rejected(f'{str(annotation)[:40]!a} is neither "true" nor "false"')


def _running(status: Raw, pool: Pool) -> tuple[tuple[Container, ...], tuple[str, ...]]:
    """Return the running containers, and the names of those whose ids cannot be read."""
    known: list[Container] = []
    unknown: list[str] = []
    for each in _STATUS_LISTS:
        for container in status.get(each) or ():
            if (container.get("state") or {}).get("running") is None:
                continue
            name = pool.share(_text(container["name"], 63))
            match = _CONTAINER_ID.fullmatch(str(container.get("containerID") or ""))
            if match is not None:
                known.append(Container(name, bytes.fromhex(match[1])))
            else:
                unknown.append(name)
    return tuple(known), tuple(unknown)


def _agentless(labels: Raw, info: Raw) -> str:
    """Return why no agent can run on a node, or nothing.

    Virtual kubelets are known by the label that they set by custom, and by their version; nodes of
    Fargate by the label of EKS.
    """
    system = labels.get("kubernetes.io/os") or info.get("operatingSystem") or "linux"
    if system != "linux":
        return NOT_LINUX
    virtual = (
        labels.get("type") == "virtual-kubelet"
        or labels.get("eks.amazonaws.com/compute-type") == "fargate"
        or re.search(r"\bvk\b|virtual-kubelet|fargate", str(info.get("kubeletVersion") or ""))
    )
    return VIRTUAL_NODE if virtual else ""


def _problem(error: ValidationError) -> str:
    """Return every fault with its field path as the user wrote it, in camelCase."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False):
        path = ".".join(["spec", *(str(part) for part in fault["loc"])])
        faults.append(f"{path}: {fault['msg'].removeprefix('Value error, ')}")
    more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
    return "; ".join(faults[:5])[:2000] + more
