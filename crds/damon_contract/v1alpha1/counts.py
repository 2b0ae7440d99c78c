"""What the status of a DamonTuning counts."""

from damon_contract.v1alpha1.model import Model


class NodeCounts(Model):
    """How many nodes are in which state."""

    matched: int = 0
    """Nodes whose labels match."""
    governed: int = 0
    """Matched nodes that have a plan of this tuning."""
    applied: int = 0
    """Governed nodes whose agent has put the current plan into the kernel."""
    degraded: int = 0
    """Governed nodes whose agent reports Degraded."""
    unsupported: int = 0
    """Governed nodes whose kernel offers no usable DAMON."""
    unreported: int = 0
    """Governed nodes whose agent has reported nothing yet."""
    silent: int = 0
    """Governed nodes whose agent has reported before, and is not heard of any more."""
    agentless: int = 0
    """Matched nodes that would be governed, but have no plan: no agent can run there, or none has
    started yet. They count as matched only."""


class PodCounts(Model):
    """How the pods of the governed nodes got their priority."""

    annotation: int = 0
    """By the pod's annotation."""
    rule: int = 0
    """By a rule."""
    namespace: int = 0
    """By the annotation of its namespace."""
    priority_class: int = 0
    """By the PriorityClass value."""
    default: int = 0
    """By `priorities.default`."""
    exempt: int = 0
    """In no plan."""
    clamped: int = 0
    """Annotation of the pod, or of its namespace, outside `priorities.annotation`: moved to its
    nearest bound."""
    rejected: int = 0
    """Annotation of the pod, or of its namespace, that is no priority: ignored."""
    exempt_denied: int = 0
    """Annotation damon-operator.io/exempt where owners may not exempt pods, ignored."""
    container_unknown: int = 0
    """Running containers whose ids are not 64 hex digits: those containers are in no plan."""


class ReasonCount(Model):
    """One reason that holds something back, and on how many nodes."""

    reason: str
    """CamelCase reason, as in the DamonNode's conditions."""
    nodes: int
    """How many nodes report it."""
    example: str
    """One of these nodes."""
