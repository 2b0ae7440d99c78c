"""How a pod gets its priority, or why it is in no plan."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from damon_contract import names, priorities
from damon_contract.priorities import Rejected
from damon_contract.v1alpha1.selectors import LabelSelector
from damon_contract.v1alpha1.tuning import Priorities, Rule
from damon_operator.facts import Labels, Part, Pod

SANDBOXES: Final = ("kata", "gvisor", "runsc", "firecracker", "kuasar")
"""Parts of RuntimeClass names whose containers live in a guest or under a kernel of their own: the
processes on the host are the sandbox's, and their memory is not the containers' to give."""


class Source(StrEnum):
    """Which step decided; the names of DamonTuning's `status.pods`."""

    ANNOTATION = "annotation"
    RULE = "rule"
    NAMESPACE = "namespace"
    PRIORITY_CLASS = "priority_class"
    DEFAULT = "default"
    EXEMPT = "exempt"


class NoteReason(StrEnum):
    """What the owner of a pod should know; reasons of the Events."""

    CLAMPED = "PriorityClamped"
    REJECTED = "PriorityRejected"
    EXEMPT_REJECTED = "ExemptRejected"
    EXEMPT_DENIED = "ExemptDenied"
    CONTAINER_UNKNOWN = "ContainerUnknown"
    UNREADABLE = "PodUnreadable"


NoteKind = Literal["Pod", "Namespace", "DamonTuning", "DamonNode"]


class Note(NamedTuple):
    """Something that the owner of an object should know; it becomes an Event."""

    reason: str
    """A NoteReason, or that of a condition."""
    message: str
    kind: NoteKind = "Pod"
    """What kind of object it is about."""
    good: bool = False
    """Whether there is nothing to do about it."""


class Verdict(NamedTuple):
    """The priority of a pod; `priority` is None when it is exempt."""

    priority: int | None
    step: Source
    source: str
    """What decided, as the plan shows it: annotation, rule/NAME, namespace/NAME,
    priorityClass/NAME, default, or for an exempt pod the reason."""
    notes: tuple[Note, ...]


def resolve(
    pod: Pod,
    namespace_labels: Labels,
    how: Priorities,
    namespace_asked: int | Rejected | None = None,
) -> Verdict:
    """Return the priority of a pod.

    After exemptions the first that knows decides: the pod's annotation, rules, the annotation of
    its namespace (`namespace_asked`), PriorityClass, default.
    """
    notes: list[Note] = []
    exempt = _exemption(pod, how, notes)
    if exempt is not None:
        return Verdict(None, Source.EXEMPT, exempt, tuple(notes))
    asked = _annotation(pod.asked, how, notes)
    if asked is not None:
        return Verdict(asked, Source.ANNOTATION, "annotation", tuple(notes))
    rule = _first_rule(pod, namespace_labels, how.rules)
    if rule is not None:
        name, priority = rule
        step = Source.EXEMPT if priority is None else Source.RULE
        return Verdict(priority, step, f"rule/{name}", tuple(notes))
    asked = _annotation(namespace_asked, how, notes, kind="Namespace")
    if asked is not None:
        return Verdict(asked, Source.NAMESPACE, f"namespace/{pod.namespace}", tuple(notes))
    if pod.priority is not None and (pod.priority_class or pod.priority != 0):
        priority = priorities.from_priority_class(pod.priority)
        source = f"priorityClass/{pod.priority_class}".rstrip("/")
        return Verdict(priority, Source.PRIORITY_CLASS, source, tuple(notes))
    return Verdict(how.default, Source.DEFAULT, "default", tuple(notes))


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Return whether a label selector matches, by the rules of the Kubernetes API.

    NotIn also matches where the key is absent.
    """
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for requirement in selector.match_expressions:
        here = requirement.key in labels
        listed = here and labels[requirement.key] in requirement.values
        match requirement.operator:
            case "In":
                holds = listed
            case "NotIn":
                holds = not listed
            case "Exists":
                holds = here
            case "DoesNotExist":
                holds = not here
        if not holds:
            return False
    return True


def _exemption(pod: Pod, how: Priorities, notes: list[Note]) -> str | None:
    if isinstance(pod.exempt, Rejected):
        message = f"annotation {names.EXEMPT_ANNOTATION}: {pod.exempt.reason}; it is ignored"
        notes.append(Note(NoteReason.EXEMPT_REJECTED, message))
    if pod.priority is not None and pod.priority >= priorities.SYSTEM_CRITICAL_VALUE:
        return "system-critical"
    if pod.part is not Part.NONE:
        return "part of damon-operator"
    if pod.exempt is True:
        if how.annotation.may_exempt():
            return "annotation"
        message = (
            f"annotation {names.EXEMPT_ANNOTATION}: owners may not exempt pods here (the "
            "DamonTuning's priorities.annotation); it is ignored"
        )
        notes.append(Note(NoteReason.EXEMPT_DENIED, message))
    if pod.namespace in how.exempt_namespaces:
        return f"namespace/{pod.namespace}"
    if any(sandbox in pod.runtime_class.lower() for sandbox in SANDBOXES):
        return f"runtimeClass/{pod.runtime_class}"
    return None


def _annotation(
    asked: int | Rejected | None,
    how: Priorities,
    notes: list[Note],
    *,
    kind: NoteKind = "Pod",
) -> int | None:
    """Return the priority that an annotation asks for, within the bounds for owners."""
    if asked is None:
        return None
    if isinstance(asked, Rejected):
        message = f"annotation {names.PRIORITY_ANNOTATION}: {asked.reason}; it is ignored"
        notes.append(Note(NoteReason.REJECTED, message, kind))
        return None
    bounds = how.annotation
    taken = max(bounds.min, min(bounds.max, asked))
    if taken != asked:
        message = (
            f"annotation {names.PRIORITY_ANNOTATION}: {asked} is outside the allowed "
            f"{bounds.min}..{bounds.max}; {taken} is used"
        )
        notes.append(Note(NoteReason.CLAMPED, message, kind))
    return taken


def _first_rule(
    pod: Pod, namespace_labels: Labels, rules: Sequence[Rule]
) -> tuple[str, int | None] | None:
    if not rules:
        return None
    labels, of_namespace = dict(pod.labels), dict(namespace_labels)
    for position, rule in enumerate(rules):
        if (
            (not rule.priority_class_names or pod.priority_class in rule.priority_class_names)
            and (not rule.qos_classes or pod.qos in rule.qos_classes)
            and (rule.pod_selector is None or selects(rule.pod_selector, labels))
            and (rule.namespace_selector is None or selects(rule.namespace_selector, of_namespace))
        ):
            return rule.name or str(position), rule.priority
    return None
