"""What an explanation says; rendering and the words of its last sentence are apart. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    """How a pod stands, in one word."""

    NOT_SCHEDULED = "NotScheduled"
    """It has no node yet."""
    ENDED = "Ended"
    """Its containers have ended for good."""
    NOT_RUNNING = "NotRunning"
    """It has a node, and no container of it runs."""
    NOT_GOVERNED = "NotGoverned"
    """No DamonTuning is for its node."""
    OFF = "Off"
    """The tuning's mode is Off."""
    NO_AGENT = "NoAgent"
    """No agent can run on its node, or none has started there."""
    EXEMPT = "Exempt"
    """It is in no plan, on purpose."""
    NOT_FINDABLE = "NotFindable"
    """The ids of its containers are none by which processes can be found."""
    NOT_PLANNED = "NotPlanned"
    """The operator has not put it into the plan yet."""
    LEFT_OUT = "LeftOut"
    """There are more pods on its node than fit into a plan."""
    AGENT_SILENT = "AgentSilent"
    """No agent has said anything about its node."""
    NO_DAMON = "NoDamon"
    """DAMON cannot be used on its node, and nothing goes by memory.reclaim there."""
    NOT_TAKEN = "NotTaken"
    """The agent has not taken the plan yet, or the plan is not in the kernel."""
    NO_PROCESS = "NoProcess"
    """The agent finds no process of it."""
    OBSERVED = "Observed"
    """Mode Observe: it is measured."""
    ROLLING_OUT = "RollingOut"
    """By the newest spec of its tuning it may be reclaimed; its node waits for that, and by the one
    before it is not."""
    SAFETY_LIMIT = "SafetyLimit"
    """Its node is over a limit of spec.safety: every lane only watches."""
    SWAP_FULL = "SwapFull"
    """The swap of its node is used up: every lane only watches."""
    SPARED = "Spared"
    """The brake keeps it from being reclaimed for a while."""
    PROTECTED = "Protected"
    """It is never reclaimed."""
    EAGER = "Eager"
    """Its cold memory goes whenever there is some; without DAMON a little of it at a time."""
    WAITING = "Waiting"
    """More memory is available than its mark."""
    RECLAIMED = "Reclaimed"
    """Less is: its cold memory goes now."""


@dataclass(frozen=True)
class ChainStep:
    """One step of the chain that gives a pod its priority."""

    name: str
    says: str
    priority: int | None = None
    exempts: bool = False
    decides: bool = False
    next: bool = False
    """Whether it would decide if the one that decides were not there."""


@dataclass(frozen=True)
class LaneView:
    """The lane that carries the pod."""

    kdamond: int
    priorities: tuple[int, ...]
    role: str
    active: bool
    """Whether it reclaims now."""
    mark_permille: int | None = None
    """It reclaims while less memory than that is available, in per mille of the capacity."""
    min_age: str | None = None
    """How long memory must be idle before it goes, where `tuning: Auto` has chosen that."""


@dataclass(frozen=True)
class ReclaimView:
    """How memory.reclaim serves the pod, each pod for itself."""

    takes: str
    """FilePages: page cache. AllMemory: anonymous memory too."""
    role: str
    """Ladder or Eager."""
    mark_permille: int | None = None
    """It is asked while less memory than that is available; None: always, or it is not known."""


@dataclass(frozen=True)
class Neighbours:
    """The pods of one priority on the same node."""

    priority: int
    protected: bool
    pods: tuple[str, ...]
    """NAMESPACE/NAME of a few."""
    more: int = 0
    """How many others."""


@dataclass(frozen=True)
class Placement:
    """Where the pod stands on its node."""

    node: str
    tuning: str | None = None
    mode: str | None = None
    overridden: tuple[str, ...] = ()
    """Other tunings that match the node, and come after the governing one."""
    available_permille: int | None = None
    """Memory available on the node, as its agent last reported it."""
    lane: LaneView | None = None
    memory_reclaim: ReclaimView | None = None
    """None: nothing goes this way of this pod."""
    unserved: str | None = None
    """Why neither of the two serves it, where that is all there is to know."""
    out_of_reach: tuple[str, ...] = ()
    """Memory that cannot go in any way, each with the reason."""
    reclaimed_after: Neighbours | None = None
    """Those reclaimed right before it: the next lower priority."""
    reclaimed_before: Neighbours | None = None
    """Those reclaimed right after it: the next higher priority."""


@dataclass(frozen=True)
class Memory:
    """What the agent knows of the pod's memory."""

    processes: int
    swappable: bool
    why_not_swappable: str | None = None
    cold_bytes: int | None = None
    given_up_bytes: int | None = None
    refaulted_bytes: int | None = None
    spared_until: str | None = None
    spared_cause: str | None = None
    spared_why: str | None = None
    cache_gone_bytes: int | None = None
    """Page cache that went by memory.reclaim, since the agent started."""
    working_set_gone_bytes: int | None = None
    """By how much less the kubelet counts as in use for that."""
    cache_spared_until: str | None = None
    cache_spared_cause: str | None = None
    cache_spared_why: str | None = None


@dataclass(frozen=True)
class ContainerView:
    """One container of the pod."""

    name: str
    state: str
    """Running, Waiting or Terminated, with the reason behind a colon if there is one."""
    planned: bool
    why_not: str | None = None


@dataclass(frozen=True)
class Hint:
    """Something about the pod, its node or its tuning that wants to be known."""

    reason: str
    message: str
    action: str = ""


@dataclass(frozen=True)
class Explanation:
    """Everything about one pod."""

    namespace: str
    name: str
    uid: str
    standing: Standing
    sentence: str
    """All of it in one sentence that a person can repeat."""
    priority: int | None
    """None: exempt, or not known."""
    source: str | None
    """What decided, as in the plan."""
    chain: tuple[ChainStep, ...]
    """Empty where it is not known which tuning governs the pod."""
    placement: Placement | None
    memory: Memory | None
    containers: tuple[ContainerView, ...]
    hints: tuple[Hint, ...]

    @property
    def shown(self) -> str:
        """Return NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"
