"""What each reason means and wants done, in a line each; docs/operations.md says more.

Complete: tests/cli/test_remedies.py compares it with every reason that operator and agent can give.
"""

from typing import Final, NamedTuple


class Remedy(NamedTuple):
    """One reason, for the person on call."""

    meaning: str
    action: str
    """Empty: there is nothing to do."""


_WAIT: Final = "wait a few seconds; it is retried"

REMEDIES: Final[dict[str, Remedy]] = {
    # of a DamonTuning
    "Valid": Remedy("the spec can be read", ""),
    "Invalid": Remedy(
        "the spec cannot be read; the last valid one stays in force",
        "correct the field that the message names (kubectl edit dt NAME)",
    ),
    "PolicyDiffers": Remedy(
        "the chart's admission policy judges annotations by other bounds than the tuning",
        "state the same in the chart's policies.annotations; of several tunings the widest bounds",
    ),
    "Uninstalled": Remedy(
        "the chart was uninstalled, and this tuning was left behind",
        "kubectl delete dt NAME, or install the chart again",
    ),
    "NoNodes": Remedy(
        "the selector matches no node, or none that has an agent",
        "correct spec.nodeSelector, or see why there is no agent (kubectl get pods -A -o wide)",
    ),
    "Overridden": Remedy(
        "another tuning governs every node that this one matches",
        "change spec.precedence or the selectors, or delete one of the two",
    ),
    "PartlyOverridden": Remedy(
        "another tuning governs some of the nodes that this one matches",
        "nothing if that is wanted; else change spec.precedence or the selectors",
    ),
    "NotOverridden": Remedy("it governs all nodes that it matches", ""),
    "RolledOut": Remedy("the newest spec is the one of all nodes", ""),
    "RollingOut": Remedy(
        "the newest spec goes from node to node; the others keep the one before",
        "wait, or raise rollout.maxNodes",
    ),
    "RolloutHalted": Remedy(
        "a node is not well since it has the newest spec; the others keep the one before",
        "mend that node, or restore the spec before: it goes back everywhere at once",
    ),
    "RolloutPaused": Remedy(
        "no other node takes the newest spec", "set rollout.paused to false to go on"
    ),
    # of a DamonTuning or a DamonNode
    "Applied": Remedy("the plan is in the kernel", ""),
    "Applying": Remedy("the plan is being written", _WAIT),
    "AsExpected": Remedy("nothing is held back", ""),
    # what the operator knows of a node
    "NoReport": Remedy(
        "no agent has said anything about this node's plan",
        "look for the agent's pod on that node (kubectl get pods -A -o wide)",
    ),
    "AgentSilent": Remedy(
        "the agent has not renewed its Lease for a minute: what it said before may not hold",
        "see the agent's pod on that node (kubectl get pods -A -o wide), and whether it is Ready",
    ),
    "PlanPending": Remedy(
        "the agent has not taken the current plan yet", "wait; then look at the agent's log"
    ),
    "WriteFailed": Remedy(
        "the operator could not write the plan",
        "look at the operator's log; compare its ClusterRole with the chart's",
    ),
    "PlanAltered": Remedy(
        "the API server stores the plan otherwise than it was written",
        "look for a webhook that changes DamonNodes, and for CRDs of another version",
    ),
    "PlanFailed": Remedy(
        "the plan cannot be computed; the one before stays in force",
        "report it with the operator's log",
    ),
    "ContainerUnknown": Remedy(
        "containers run whose ids are not 64 hex digits: they are not tuned",
        "use containerd, CRI-O or Docker; Events on the pods name the containers",
    ),
    "NotLinux": Remedy("no agent can run on a node without Linux", ""),
    "VirtualNode": Remedy("no agent can run on a virtual node", ""),
    "AgentNotStarted": Remedy(
        "the agent's pod on this node has never started",
        "kubectl describe that pod: a failed hostPath check means a kernel without DAMON sysfs",
    ),
    "Unreadable": Remedy(
        "the agent gave a reason that is no word", "look at who writes this DamonNode's status"
    ),
    # what an agent says of its node
    "Available": Remedy("DAMON is there and may be used", ""),
    "Off": Remedy("mode Off: nothing of ours is in the kernel", ""),
    "NoPlan": Remedy(
        "no DamonTuning governs this node, or the operator has not planned yet",
        "look at `kubectl get dt`, and at the operator's log",
    ),
    "PlanExpired": Remedy(
        "the API server was out of the agent's reach for longer than safety.maxPlanAge",
        "restore the node's connection; the agent resumes by itself",
    ),
    "PlanInvalid": Remedy(
        "the agent cannot read the plan: operator and agent are of different versions",
        "finish the upgrade; the last readable plan stays in force",
    ),
    "NoDamon": Remedy(
        "the kernel has no DAMON sysfs",
        "use a kernel with CONFIG_DAMON_SYSFS and CONFIG_DAMON_VADDR",
    ),
    "Unsupported": Remedy(
        "the kernel's DAMON lacks something that the agent needs", "see the message; newer kernel"
    ),
    "ReadOnly": Remedy(
        "the DAMON sysfs is mounted read-only", "mount it writable, under a path of its own"
    ),
    "PermissionDenied": Remedy(
        "the kernel or a security module refused a write",
        "run the agent as uid 0; AppArmor: mount DAMON under another path; SELinux: type spc_t",
    ),
    "DamonBusy": Remedy(
        "somebody else uses DAMON on this node; nothing of it was touched",
        "stop the other user (damo, DAMON_RECLAIM, DAMON_LRU_SORT); the agent then takes over",
    ),
    "DamonStatEnabled": Remedy(
        "DAMON_STAT runs, and has DAMON for itself",
        "boot with damon_stat.enabled=N, or install with agent.disableDamonStat=true",
    ),
    "DamonStatOff": Remedy(
        "the agent switched DAMON_STAT off and cannot switch it on again",
        "write Y to damon_stat's parameter `enabled` on the node, or reboot it",
    ),
    "SysfsLocked": Remedy("every write to DAMON's sysfs answers EBUSY", _WAIT),
    "CommitHung": Remedy(
        "the kernel did not answer a command in time",
        "nothing, it is rebuilt; if it repeats report the kernel version",
    ),
    "CommitFailed": Remedy("the kernel refused a commit, usually for a process that exited", _WAIT),
    "KdamondStopped": Remedy("a kdamond stopped by itself", "nothing, it is rebuilt"),
    "WriteRejected": Remedy(
        "the kernel refused a value; the message has path, value and errno", "report it"
    ),
    "NoSwap": Remedy(
        "the node has no swap: anonymous memory cannot be given up",
        "add swap or zram to the node and let the kubelet use it (NodeSwap)",
    ),
    "SwapFull": Remedy(
        "the node's swap is used up: every lane only watches until some of it is free",
        "add swap or zram, or give fewer pods a low priority; it resumes by itself",
    ),
    "SafetyLimit": Remedy(
        "the node is over a limit of spec.safety: every lane only watches until it is well below",
        "see the message; it resumes by itself, or raise the limit",
    ),
    "NoMemoryReclaim": Remedy(
        "pods' page cache cannot go by memory.reclaim, although the agent may write it",
        "read the message",
    ),
    "NativeRefused": Remedy(
        "the driver native is not possible here; the message says why", "use --driver lanes"
    ),
    "NativeSpent": Remedy(
        "the driver native works once in a boot", "mode Off, then reboot the node"
    ),
    "NativeFull": Remedy(
        "more processes of a class than the driver native has slots for",
        "raise --native-slots-per-class, and reboot the node",
    ),
    "NeedsReboot": Remedy("the kernel has crashed in a kdamond", "reboot the node"),
    "StateUnwritable": Remedy(
        "the agent cannot write its state directory, so it touches nothing", "make it writable"
    ),
    "NodeUnreadable": Remedy(
        "a file of /proc or of the cgroup tree cannot be read; the message names it",
        "check hostPID and the agent's mounts",
    ),
    "InternalError": Remedy("a defect of the agent", "report it with the agent's log"),
}

_UNKNOWN: Final = Remedy("a reason that this version does not know", "see docs/operations.md")


def remedy(reason: str) -> Remedy:
    """Return what a reason means and wants done."""
    return REMEDIES.get(reason, _UNKNOWN)
