"""`DamonNode`: the plan for one node (spec, the operator's) and what came of it (status)."""

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from damon_contract.quantities import Permille, Priority
from damon_contract.v1alpha1.model import Conditions, Model
from damon_contract.v1alpha1.totals import Totals
from damon_contract.v1alpha1.tuning import SETTINGS_RULES, Mode, Settings

MAX_STATUS_BYTES: Final = 64 * 1024
"""A status stays below that: thousands of agents write theirs, many times an hour."""

MAX_POD_MESSAGE: Final = 320
"""Most characters of why a pod is not tuned as a whole: the path of a file and an error."""

MAX_PODS = 512
"""Most pods in one plan; kubelets default to 110, large nodes run 250."""

MAX_BYTES: Final = 2**60
"""More memory than any node has, and still an integer of 64 bits with a sign."""

ContainerId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]


class NodeCondition(StrEnum):
    """The condition types of a DamonNode."""

    READY = "Ready"
    """The plan is in the kernel: the status of Applied, with the reason to know first."""
    APPLIED = "Applied"
    """Every lane of the plan is in the kernel as planned."""
    DAMON_AVAILABLE = "DamonAvailable"
    """The kernel has a DAMON sysfs this agent may use."""
    DEGRADED = "Degraded"
    """Something holds part of the plan back."""


class NodeReason(StrEnum):
    """Every reason a DamonNode's conditions can carry; docs/operations.md explains each."""

    APPLIED = "Applied"
    APPLYING = "Applying"
    AVAILABLE = "Available"
    OFF = "Off"
    NO_PLAN = "NoPlan"
    PLAN_EXPIRED = "PlanExpired"
    PLAN_INVALID = "PlanInvalid"
    AS_EXPECTED = "AsExpected"
    NO_DAMON = "NoDamon"
    UNSUPPORTED = "Unsupported"
    READ_ONLY = "ReadOnly"
    PERMISSION_DENIED = "PermissionDenied"
    DAMON_BUSY = "DamonBusy"
    DAMON_STAT_ENABLED = "DamonStatEnabled"
    DAMON_STAT_OFF = "DamonStatOff"
    SYSFS_LOCKED = "SysfsLocked"
    COMMIT_HUNG = "CommitHung"
    COMMIT_FAILED = "CommitFailed"
    KDAMOND_STOPPED = "KdamondStopped"
    WRITE_REJECTED = "WriteRejected"
    NO_SWAP = "NoSwap"
    SWAP_FULL = "SwapFull"
    SAFETY_LIMIT = "SafetyLimit"
    NO_MEMORY_RECLAIM = "NoMemoryReclaim"
    NATIVE_REFUSED = "NativeRefused"
    NATIVE_SPENT = "NativeSpent"
    NATIVE_FULL = "NativeFull"
    NEEDS_REBOOT = "NeedsReboot"
    STATE_UNWRITABLE = "StateUnwritable"
    NODE_UNREADABLE = "NodeUnreadable"
    INTERNAL_ERROR = "InternalError"
    AGENT_SILENT = "AgentSilent"
    """Said by the operator in the agent's place."""


LIMITATIONS: Final = frozenset(
    {
        NodeReason.NO_SWAP,
        NodeReason.SWAP_FULL,
        NodeReason.SAFETY_LIMIT,
        NodeReason.NO_MEMORY_RECLAIM,
    }
)
"""Reasons that limit what a plan can do on a node, and do not keep it from being in force there."""

UNAVAILABLE: Final = frozenset(
    {
        NodeReason.NO_DAMON,
        NodeReason.UNSUPPORTED,
        NodeReason.READ_ONLY,
        NodeReason.PERMISSION_DENIED,
        NodeReason.DAMON_BUSY,
        NodeReason.DAMON_STAT_ENABLED,
        NodeReason.NEEDS_REBOOT,
    }
)
"""Reasons for which DAMON as a whole is not to be had."""

SERVED_OTHERWISE: Final = UNAVAILABLE - {NodeReason.NEEDS_REBOOT}
"""Of these, the reasons for which memory.reclaim may serve the pods instead: then they only limit
what the plan can do. A kernel that has crashed in DAMON is asked for nothing."""


class PodReason(StrEnum):
    """Why a pod is not tuned as a whole; docs/operations.md explains each."""

    UNREADABLE = "Unreadable"
    TOO_MANY_PROCESSES = "TooManyProcesses"


class PlannedContainer(Model):
    """One running container."""

    name: Annotated[str, Field(max_length=63)]
    """Name in the pod."""
    id: ContainerId
    """The runtime's id, 64 hex digits: the stable part of every cgroup path."""


class PlannedPod(Model):
    """One pod that is to be tuned."""

    namespace: Annotated[str, Field(max_length=63)]
    """The pod's namespace."""
    name: Annotated[str, Field(max_length=253)]
    """The pod's name."""
    uid: Annotated[str, Field(max_length=64)]
    """The pod's metadata.uid."""
    priority: Priority
    """1..100, higher = more important = reclaimed later."""
    source: Annotated[str, Field(max_length=320)]
    """What decided the priority: annotation, rule/NAME, namespace/NAME, priorityClass/NAME or
    default."""
    containers: Annotated[
        tuple[PlannedContainer, ...],
        Field(max_length=64, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ]
    """Its running containers: ordinary, init, sidecar and ephemeral ones."""


class DamonNodeSpec(Model):
    """The plan, written only by the operator, and always as a whole."""

    # Atomic: an apply replaces all of it. Else a field that the operator no longer states would
    # stay, if somebody else (a tool that restored a backup) is its manager as well.
    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    tuning: Annotated[str, Field(max_length=253)]
    """The DamonTuning that governs this node."""
    mode: Mode
    """Mode of that tuning."""
    settings: Annotated[
        Settings, Field(json_schema_extra={"x-kubernetes-validations": SETTINGS_RULES})
    ]
    """Settings of that tuning."""
    reserved_bytes: Annotated[int, Field(ge=0, le=MAX_BYTES)] = 0
    """Node capacity minus allocatable memory and huge pages: contains the kubelet's hard eviction
    threshold."""
    hash: Annotated[str, Field(max_length=64)]
    """Digest of everything else in this spec."""
    pods: Annotated[
        tuple[PlannedPod, ...],
        Field(
            default=(),
            max_length=MAX_PODS,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    """The pods to tune, by namespace and name."""
    pods_left_out: Annotated[int, Field(ge=0)] = 0
    """Pods beyond the 512 that fit; the most important ones are left out first."""


class Kernel(Model):
    """What the node's kernel offers."""

    release: Annotated[str, Field(max_length=128)]
    """As uname -r says."""
    driver: Literal["lanes", "native"]
    """How plans get into the kernel."""
    features: Annotated[
        tuple[Annotated[str, Field(max_length=63)], ...], Field(default=(), max_length=32)
    ]
    """DAMON features that were found by looking, not by version."""


class Memory(Model):
    """The node's memory as the agent last saw it, and the ladder's ends."""

    capacity_bytes: int
    """MemTotal less all huge pages: what marks and available memory are a share of."""
    available_bytes: int
    """MemAvailable."""
    swap_total_bytes: int
    """SwapTotal; without swap only clean file pages can be given up."""
    swap_free_bytes: int | None = None
    """SwapFree; while it is next to nothing (SwapFull) every lane only watches."""
    floor_permille: Permille
    """Mark of the most important pod that is not protected."""
    ceiling_permille: Permille
    """Mark of the least important pod."""


class Lane(Model):
    """One rung: a kdamond with the pods of one priority, or of a few neighbouring ones."""

    kdamond: int
    """Index below admin/kdamonds."""
    priorities: Annotated[tuple[Priority, ...], Field(max_length=100)]
    """The priorities it carries; it behaves as the most protective of them needs."""
    role: Literal["Protected", "Ladder", "Eager"]
    """Protected is only watched, Ladder works below its mark, Eager always works."""
    mark_permille: Permille | None = None
    """Available memory, in per mille of capacity, below which it works; Ladder only."""
    min_age: Annotated[str, Field(max_length=32)] | None = None
    """How long memory must go without access before this lane takes it, where `tuning: Auto` has
    chosen that: the longest of its priorities. Absent where `reclaim.minAge` holds."""
    pods: int
    """Pods in it, spared ones included: they are in a Protected lane."""
    targets: int
    """Live processes in it."""
    state: Literal["on", "off"]
    """State of the kdamond."""
    active: bool
    """Whether its reclaim scheme works now."""
    tried_bytes: Annotated[int, Field(ge=0)] = 0
    """Bytes of address space the reclaim scheme has tried since the kdamond started, or since a
    lane that sleeps was last changed: its scheme is set up anew."""
    applied_bytes: Annotated[int, Field(ge=0)] = 0
    """Bytes for which the kernel reported success; NOT bytes reclaimed (it counts holes and
    pages that were already out): see memory.stat of the pod for the truth."""
    cold_bytes: Annotated[int, Field(ge=0)] | None = None
    """Sum of the cold memory of its pods, as far as it is known."""
    given_up_bytes: Annotated[int, Field(ge=0)] | None = None
    """Sum of what its pods have out in swap now, as far as it is known."""


class Spared(Model):
    """Why a pod is watched and not reclaimed for a while."""

    until: Annotated[str, Field(max_length=20, json_schema_extra={"format": "date-time"})]
    """When it may be forgiven, if it is well by then."""
    cause: Literal["Pressure", "Refaults", "SwapRefused"]
    """Pressure: its processes waited for memory; Refaults: what was swapped out came back;
    SwapRefused: swap had no place for its pages (its memory.swap.max is reached)."""


class MemoryReclaim(Model):
    """What goes by the file memory.reclaim of pods' cgroups, beside DAMON or instead of it.

    Sizes count from the agent's start, in whole MiB, rounded up: they are what the cgroup's own
    figures were less after a write than before it.
    """

    takes: Literal["FilePages", "AllMemory", "Nothing"]
    """FilePages: page cache, and on a node with swap anonymous memory that lanes do not reach: what
    forked processes share, and what a swap disk has left in memory. AllMemory: all anonymous
    memory too, on a node with swap and without usable DAMON. Nothing: `message` says why."""
    message: Annotated[str, Field(max_length=MAX_POD_MESSAGE)] | None = None
    """Why nothing goes this way, for people."""
    file_bytes: Annotated[int, Field(ge=0)] = 0
    """Page cache that went, of all pods."""
    working_set_bytes: Annotated[int, Field(ge=0)] = 0
    """By how much less the kubelet counts as in use (memory.current less inactive_file, by which it
    ranks pods for eviction). Cache that is read and not mapped is counted as inactive anyway."""


class PodReclaim(Model):
    """What went by memory.reclaim of this pod, in the sense of `status.memoryReclaim`."""

    file_bytes: Annotated[int, Field(ge=0)] = 0
    """Page cache that went."""
    working_set_bytes: Annotated[int, Field(ge=0)] = 0
    """By how much less the kubelet counts as in use."""
    spared: Spared | None = None
    """Present while it is left alone this way: page cache came back because it was used, or its
    processes waited for memory. Its lane goes on."""


class PodStatus(Model):
    """What the agent found of one planned pod.

    Where more pods are planned than fit into a status of 64 KiB with all that is known of them,
    those of which most is to be told (spared, or much memory cold, given up or faulted back) have
    everything, and the others neither name nor figures.
    """

    namespace: Annotated[str, Field(max_length=63)] | None = None
    """The pod's namespace."""
    name: Annotated[str, Field(max_length=253)] | None = None
    """The pod's name."""
    uid: Annotated[str, Field(max_length=64)]
    """The pod's metadata.uid."""
    priority: Priority
    """As planned."""
    kdamond: int | None = None
    """Index of its lane's kdamond; absent while it has no process."""
    processes: int
    """Its live processes that are targets."""
    swappable: Annotated[bool, Field(exclude_if=bool)] = True
    """False: memory.swap.max is 0 or the node has no swap, so anonymous memory cannot go. Left out
    where it can."""
    cold_bytes: Annotated[int, Field(ge=0)] | None = None
    """Its resident memory that nothing has touched for `reclaim.minAge` (24s where that is not
    stated, whatever `tuning: Auto` has chosen), in whole MiB; measured every few minutes. While its
    lane reclaims it is a lower bound. Absent where it is unknown."""
    given_up_bytes: Annotated[int, Field(ge=0)] | None = None
    """Its anonymous memory that is out in swap now (memory.swap.current of its cgroup, less what is
    in memory as well), in whole MiB, rounded up; read every minute. It counts what DAMON took and
    what the kernel took by itself: the kernel does not tell them apart. Absent where the pod's
    cgroup v2 can't be read."""
    refaulted_bytes: Annotated[int, Field(ge=0)] | None = None
    """Its anonymous memory that was out in swap and came back because it was used, in whole MiB,
    rounded up: workingset_refault_anon of its cgroup times the size of a page, since the pod
    started on this node. The counter is the kernel's, so restarts of the agent don't change it;
    a page that goes and comes back twice counts twice."""
    spared: Spared | None = None
    """Present while the brake keeps it from being reclaimed; `brake.spared` counts all."""
    reclaim: PodReclaim | None = None
    """What went by memory.reclaim; absent while nothing was asked of it this way."""
    reason: PodReason | None = None
    """Why it is not tuned as a whole; absent if it is. The message of Ready counts all."""
    message: Annotated[str, Field(max_length=MAX_POD_MESSAGE)] | None = None
    """The same for people: what could not be read, or how much is left out."""


class BrakeStatus(Model):
    """How many of the pods that may be reclaimed are in which state."""

    spared: int
    """Kept from being reclaimed for a while."""
    unseen: int
    """Never spared, because neither memory.pressure nor memory.stat of cgroup v2 can be read."""


class DamonNodeStatus(Model):
    """What came of the plan, written only by the agent of this node.

    When the agent falls silent the operator sets Ready to Unknown, with the reason AgentSilent.
    """

    observed_generation: int = 0
    """The metadata.generation of the plan this status speaks of."""
    observed_hash: Annotated[str, Field(max_length=64)] = ""
    """The plan's hash."""
    conditions: Conditions = ()
    """Ready, Applied, DamonAvailable, Degraded."""
    kernel: Kernel | None = None
    """What the kernel offers."""
    memory: Memory | None = None
    """The node's memory and the ladder's ends."""
    lanes: Annotated[tuple[Lane, ...], Field(default=(), max_length=64)]
    """The rungs, least important first."""
    pods: Annotated[
        tuple[PodStatus, ...],
        Field(
            default=(),
            max_length=MAX_PODS,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    """The planned pods, in the plan's order."""
    targets: int = 0
    """Live target processes in all lanes."""
    brake: BrakeStatus | None = None
    """What the brake sees; absent unless it is enabled and the mode is Enforce."""
    memory_reclaim: MemoryReclaim | None = None
    """What goes by memory.reclaim; absent unless the agent may write it (the chart's
    `agent.memoryReclaim`)."""
    lease: Annotated[str, Field(max_length=253)] | None = None
    """Name of the Lease, in the namespace of the release, that the agent renews while it works. An
    agent that states none (of an older version) is not noticed when it falls silent."""
    totals: Totals | None = None
    """What the pods add up to, those without figures of their own included. `kubectl describe`
    sorts by name: this stands at its end, where a person looks first."""
