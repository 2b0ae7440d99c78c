"""How a pod gets its priority, or why it is in no plan."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from damon_contract import names, priorities
from damon_contract.priorities import Rejected
from damon_contract.v1alpha1.selectors import LabelSelector
from damon_contract.v1alpha1.tuning import Priorities, Rule
from damon_operator.facts import Namespace, Part, Pod

SANDBOXES: Final = ("kata", "gvisor", "runsc", "firecracker", "kuasar")
"""Parts of RuntimeClass names whose containers live in a guest or under a kernel of their own: the
processes on the host are the sandbox's, and their memory is not the containers' to give."""


# The steps of the chain, by name, in their order; rules are named rule/NAME. What an exempt pod's
# source says begins with them.
SYSTEM_CRITICAL: Final = "system-critical"
OWN: Final = "part of damon-operator"
EXEMPT_ANNOTATION: Final = "exempt annotation"
EXEMPT_NAMESPACES: Final = "namespace"
SANDBOX: Final = "runtimeClass"
ANNOTATION: Final = "annotation"
NAMESPACE: Final = "namespace annotation"
PRIORITY_CLASS: Final = "priorityClass"
DEFAULT: Final = "default"


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


class ResolvedPriority(NamedTuple):
    """The priority of a pod; `priority` is None when it is exempt."""

    priority: int | None
    step: Source
    source: str
    """What decided, as the plan shows it: annotation, rule/NAME, namespace/NAME,
    priorityClass/NAME, default, or for an exempt pod the reason."""
    notes: tuple[Note, ...] = ()


class Step(NamedTuple):
    """What one step of the chain says about a pod."""

    name: str
    verdict: ResolvedPriority | None = None
    """None: nothing, so the next step is asked."""
    notes: tuple[Note, ...] = ()
    mismatch: str = ""
    """Of a rule that does not match: the first criterion that does not hold."""


def resolve(pod: Pod, namespace: Namespace, how: Priorities) -> ResolvedPriority:
    """Return the priority of a pod: the first step of the chain that says something decides."""
    notes: list[Note] = []
    for step in steps(pod, namespace, how):
        notes += step.notes
        if step.verdict is not None:
            return step.verdict._replace(notes=tuple(notes))
    raise AssertionError("the last step of the chain always decides")


def steps(pod: Pod, namespace: Namespace, how: Priorities) -> Iterator[Step]:
    """Yield every step of the chain, in order.

    Exemptions, the pod's annotation, rules, its namespace's annotation, PriorityClass, default.

    Whoever wants to know what would come next goes on after the step that decides.
    """
    yield from _exemptions(pod, how)
    yield _asked(ANNOTATION, pod.asked, how, Source.ANNOTATION, ANNOTATION)
    if how.rules:
        labels, of_namespace = dict(pod.labels), dict(namespace.labels)
        for position, rule in enumerate(how.rules):
            yield _rule(rule, str(position), pod, labels, of_namespace)
    source = f"namespace/{pod.namespace}"
    yield _asked(NAMESPACE, namespace.asked, how, Source.NAMESPACE, source, kind="Namespace")
    yield _priority_class(pod)
    yield Step(DEFAULT, ResolvedPriority(how.default, Source.DEFAULT, DEFAULT))


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


def _exemptions(pod: Pod, how: Priorities) -> Iterator[Step]:
    critical = pod.priority is not None and pod.priority >= priorities.SYSTEM_CRITICAL_VALUE
    yield _exempt(SYSTEM_CRITICAL, critical)
    yield _exempt(OWN, pod.part is not Part.NONE)
    yield _exempt_annotation(pod, how)
    yield _exempt(EXEMPT_NAMESPACES, pod.namespace in how.exempt_namespaces, pod.namespace)
    sandboxed = any(sandbox in pod.runtime_class.lower() for sandbox in SANDBOXES)
    yield _exempt(SANDBOX, sandboxed, pod.runtime_class)


def _exempt(name: str, holds: bool, which: str = "") -> Step:  # noqa: FBT001 - what is asked
    if not holds:
        return Step(name)
    source = f"{name}/{which}" if which else name
    return Step(name, ResolvedPriority(None, Source.EXEMPT, source))


def _exempt_annotation(pod: Pod, how: Priorities) -> Step:
    if isinstance(pod.exempt, Rejected):
        message = f"annotation {names.EXEMPT_ANNOTATION}: {pod.exempt.reason}; it is ignored"
        return Step(EXEMPT_ANNOTATION, notes=(Note(NoteReason.EXEMPT_REJECTED, message),))
    if not pod.exempt:
        return Step(EXEMPT_ANNOTATION)
    if how.annotation.may_exempt():
        return Step(EXEMPT_ANNOTATION, ResolvedPriority(None, Source.EXEMPT, ANNOTATION))
    message = (
        f"annotation {names.EXEMPT_ANNOTATION}: owners may not exempt pods here (the "
        "DamonTuning's priorities.annotation); it is ignored"
    )
    return Step(EXEMPT_ANNOTATION, notes=(Note(NoteReason.EXEMPT_DENIED, message),))


def _asked(
    name: str,
    asked: int | Rejected | None,
    how: Priorities,
    decided: Source,
    source: str,
    *,
    kind: NoteKind = "Pod",
) -> Step:
    """Say what an annotation asks for, within the bounds for owners."""
    if asked is None:
        return Step(name)
    if isinstance(asked, Rejected):
        message = f"annotation {names.PRIORITY_ANNOTATION}: {asked.reason}; it is ignored"
        return Step(name, notes=(Note(NoteReason.REJECTED, message, kind),))
    bounds = how.annotation
    taken = max(bounds.min, min(bounds.max, asked))
    verdict = ResolvedPriority(taken, decided, source)
    if taken == asked:
        return Step(name, verdict)
    message = (
        f"annotation {names.PRIORITY_ANNOTATION}: {asked} is outside the allowed "
        f"{bounds.min}..{bounds.max}; {taken} is used"
    )
    return Step(name, verdict, (Note(NoteReason.CLAMPED, message, kind),))


def _rule(
    rule: Rule,
    position: str,
    pod: Pod,
    labels: Mapping[str, str],
    of_namespace: Mapping[str, str],
) -> Step:
    name = f"rule/{rule.name or position}"
    if mismatch := _mismatch(rule, pod, labels, of_namespace):
        return Step(name, mismatch=mismatch)
    kind = Source.EXEMPT if rule.priority is None else Source.RULE
    return Step(name, ResolvedPriority(rule.priority, kind, name))


def _mismatch(
    rule: Rule, pod: Pod, labels: Mapping[str, str], of_namespace: Mapping[str, str]
) -> str:
    """Return the first criterion of a rule that does not hold, as the tuning calls it."""
    if rule.priority_class_names and pod.priority_class not in rule.priority_class_names:
        return "priorityClassNames"
    if rule.qos_classes and pod.qos not in rule.qos_classes:
        return "qosClasses"
    if rule.pod_selector is not None and not selects(rule.pod_selector, labels):
        return "podSelector"
    if rule.namespace_selector is not None and not selects(rule.namespace_selector, of_namespace):
        return "namespaceSelector"
    return ""


def _priority_class(pod: Pod) -> Step:
    if pod.priority is None or not (pod.priority_class or pod.priority != 0):
        return Step(PRIORITY_CLASS)
    priority = priorities.from_priority_class(pod.priority)
    source = f"{PRIORITY_CLASS}/{pod.priority_class}".rstrip("/")
    return Step(PRIORITY_CLASS, ResolvedPriority(priority, Source.PRIORITY_CLASS, source))
