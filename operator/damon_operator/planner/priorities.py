"""How a pod gets its priority, or why it is in no plan."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

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


class Note(NamedTuple):
    """Something about a pod's annotations that its owner should know."""

    reason: NoteReason
    message: str


class Verdict(NamedTuple):
    """The priority of a pod; `priority` is None when it is exempt."""

    priority: int | None
    step: Source
    source: str
    """What decided, as the plan shows it: annotation, rule/NAME, priorityClass/NAME, default, or
    for an exempt pod the reason."""
    notes: tuple[Note, ...]


def resolve(pod: Pod, namespace_labels: Labels, how: Priorities) -> Verdict:
    """Return the priority of a pod: exemptions, then annotation, rules, PriorityClass, default."""
    notes: list[Note] = []
    exempt = _exemption(pod, how, notes)
    if exempt is not None:
        return Verdict(None, Source.EXEMPT, exempt, tuple(notes))
    asked = _annotation(pod, how, notes)
    if asked is not None:
        return Verdict(asked, Source.ANNOTATION, "annotation", tuple(notes))
    rule = _first_rule(pod, namespace_labels, how.rules)
    if rule is not None:
        name, priority = rule
        step = Source.EXEMPT if priority is None else Source.RULE
        return Verdict(priority, step, f"rule/{name}", tuple(notes))
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


def _annotation(pod: Pod, how: Priorities, notes: list[Note]) -> int | None:
    if pod.asked is None:
        return None
    if isinstance(pod.asked, Rejected):
        message = f"annotation {names.PRIORITY_ANNOTATION}: {pod.asked.reason}; it is ignored"
        notes.append(Note(NoteReason.REJECTED, message))
        return None
    bounds = how.annotation
    taken = max(bounds.min, min(bounds.max, pod.asked))
    if taken != pod.asked:
        message = (
            f"annotation {names.PRIORITY_ANNOTATION}: {pod.asked} is outside the allowed "
            f"{bounds.min}..{bounds.max}; {taken} is used"
        )
        notes.append(Note(NoteReason.CLAMPED, message))
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
