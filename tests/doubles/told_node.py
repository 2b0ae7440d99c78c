"""A node as an agent tells it, without an agent."""

from damon_agent.facts import PodSwap
from damon_agent.families import Scrape
from damon_agent.kernel.tree.commands import Keyword, Outcome
from damon_agent.loop import Ticks
from damon_agent.plans.plan import Latest, Plan
from damon_contract.v1alpha1.model import Condition
from damon_contract.v1alpha1.node import (
    BrakeStatus,
    DamonNodeSpec,
    DamonNodeStatus,
    Kernel,
    Lane,
    Memory,
    MemoryReclaim,
    PodStatus,
)

S = 1_000_000


def condition(kind: str, status: str = "True", reason: str = "Applied") -> Condition:
    when = "2026-01-01T00:00:00Z"
    return Condition(type=kind, status=status, reason=reason, message="", last_transition_time=when)


def lane(kdamond: int, *priorities: int, mark: int | None = None, **more) -> Lane:
    role = "Ladder" if mark is not None else "Protected"
    fields = {"pods": 1, "targets": 2, "state": "on", "active": False, **more}
    return Lane(kdamond=kdamond, priorities=priorities, role=role, mark_permille=mark, **fields)


def uid(number: int) -> str:
    return f"uid-of-pod-{number}"


def pod(number: int, kdamond: int | None = 0, *, swappable: bool = True) -> PodStatus:
    return PodStatus(
        uid=uid(number), priority=50, kdamond=kdamond, processes=1, swappable=swappable
    )


STATUS = DamonNodeStatus(
    conditions=(
        condition("Ready", "False", "NoSwap"),
        condition("Applied"),
        condition("DamonAvailable", "True", "Available"),
        condition("Degraded", "True", "NoSwap"),
    ),
    kernel=Kernel(release="6.12.0", driver="lanes"),
    memory=Memory(
        capacity_bytes=8000,
        available_bytes=2001,
        swap_total_bytes=100,
        swap_free_bytes=7,
        floor_permille=1,
        ceiling_permille=600,
    ),
    lanes=(
        lane(
            3,
            34,
            35,
            mark=600,
            active=True,
            targets=5,
            tried_bytes=70,
            applied_bytes=60,
            min_age="3m12s",
        ),
        lane(0, 83),
    ),
    pods=(pod(1), pod(2, swappable=False), pod(3, None)),
    targets=7,
    brake=BrakeStatus(spared=2, unseen=1),
    memory_reclaim=MemoryReclaim(takes="FilePages", file_bytes=9 << 20, working_set_bytes=4 << 20),
)


def planned(number: int, priority: int, name: str = "pod-{}") -> dict:
    named = {"namespace": "shop", "name": name.format(number), "uid": uid(number)}
    return {**named, "priority": priority, "source": "default", "containers": []}


def plan(*pods: dict, **settings) -> Plan:
    spec = {"tuning": "t", "mode": "Enforce", "hash": "h", "pods": list(pods)}
    spec["settings"] = {"safety": {"maxPlanAge": "15m"}, **settings}
    return Plan("uid", 1, DamonNodeSpec.model_validate(spec))


def heard(*pods: dict, **settings) -> Latest:
    return Latest(known=True, plan=plan(*pods, **settings), contact_us=40 * S)


PODS = (planned(1, 34), planned(2, 35), planned(3, 83), planned(4, 20))


def seen(status: DamonNodeStatus = STATUS, **fields) -> Scrape:
    values = {
        "now_us": 100 * S,
        "status": status,
        "latest": heard(*PODS),
        "cold_bytes": {uid(1): 5 << 20, uid(2): 6 << 20, uid(3): 7 << 20},
        "swap": {uid(1): PodSwap(3, 1), uid(3): PodSwap(None, 1)},
        "returned_bytes": {34: 8, 35: 9, 83: 2},
        "ticks": Ticks(ended=4, failed=1, spent_us=S // 2, exits=3, grown=8),
        "commands": {(Keyword.COMMIT, Outcome.ACCEPTED): 5},
        "commands_under_way": 1,
        "statuses_written": 6,
        "statuses_failed": 2,
    }
    return Scrape(**{**values, **fields})
