"""What this kernel's DAMON offers, found by looking at its files; versions are never asked.

Most files show only once there is a context, a target and a scheme: taking the kdamonds creates
them in the first one (damon_agent.kernel.ownership). Which file came with which release is noted
where it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from damon_agent.kernel.report import Blocked
from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path
from damon_contract.v1alpha1.node import NodeReason

CONTEXT: Final = "contexts/0"
TARGET: Final = f"{CONTEXT}/targets/0"
SCHEME: Final = f"{CONTEXT}/schemes/0"

PROBED: Final = (
    ("refresh_ms", "", "refresh_ms"),
    ("addr_unit", CONTEXT, "addr_unit"),
    ("pause", CONTEXT, "pause"),
    ("intervals_goal", f"{CONTEXT}/monitoring_attrs/intervals", "intervals_goal"),
    ("obsolete_target", TARGET, "obsolete_target"),
    ("target_priority", TARGET, "target_priority"),
    ("apply_interval_us", SCHEME, "apply_interval_us"),
    ("filters", SCHEME, "filters"),
    ("core_filters", SCHEME, "core_filters"),
    ("ops_filters", SCHEME, "ops_filters"),
    ("tried_regions", SCHEME, "tried_regions"),
    ("goals", f"{SCHEME}/quotas", "goals"),
    ("max_nr_snapshots", f"{SCHEME}/stats", "max_nr_snapshots"),
)
"""(feature, directory below a kdamond, name in it that shows it)."""

DIRECTORIES: Final = tuple(dict.fromkeys(directory for _, directory, _ in PROBED))

COUNTS: Final = (
    f"{CONTEXT.rpartition('/')[0]}/nr_contexts",
    f"{CONTEXT}/targets/nr_targets",
    f"{CONTEXT}/schemes/nr_schemes",
)
"""What must be at least 1 before everything shows, in this order of writing."""


@dataclass(frozen=True, slots=True)
class Features:
    """Names of the features found, a subset of those in PROBED."""

    names: frozenset[str] = frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @property
    def sync_commit(self) -> bool:
        """Whether a commit reports its errors, and holds DAMON's lock meanwhile.

        No file says so. intervals_goal (6.15) is one release away from that change (6.16).
        """
        return "intervals_goal" in self

    @property
    def commit_keeps_clocks(self) -> bool:
        """Whether a commit that changes no interval restarts none of the kdamond's clocks.

        damon_commit_ctx() leaves equal attributes alone since 6.18 ("skip needless update of
        damon_attrs in damon_commit_ctx()"), the release that brought addr_unit.
        """
        return "addr_unit" in self

    @property
    def limits_first_window(self) -> bool:
        """Whether a quota limits its first window, too.

        damos_adjust_quota() does since 6.18 ("set effective quota on first charge window"), the
        release that brought addr_unit.
        """
        return "addr_unit" in self

    @property
    def commit_reactivates(self) -> bool:
        """Whether a commit wakes a scheme that its watermarks had put to sleep.

        Kernels without filters (before 6.3) leave it asleep even when the metric becomes none.
        """
        return "filters" in self


def parse(listing: Callable[[str], tuple[str, ...]]) -> Features:
    """Return the features; `listing` gives the names in one of DIRECTORIES ("": the kdamond's)."""
    names = {directory: frozenset(listing(directory)) for directory in DIRECTORIES}
    return Features(
        frozenset(feature for feature, directory, shown in PROBED if shown in names[directory])
    )


def probe(damon: Sysfs, kdamonds: int) -> Features:
    """Return the features, as the first kdamond that has a context, a target and a scheme shows.

    Raise Blocked where DAMON cannot monitor virtual address spaces; raise KernelError.
    """
    base = kdamond_path(next((k for k in range(kdamonds) if _is_complete(damon, k)), 0))
    if "vaddr" not in damon.read(f"{base}/{CONTEXT}/avail_operations").split():
        raise Blocked(
            NodeReason.UNSUPPORTED,
            "this kernel's DAMON cannot monitor processes: the operations set vaddr "
            "(CONFIG_DAMON_VADDR) is missing",
        )
    return parse({name: damon.list(f"{base}/{name}") for name in DIRECTORIES}.__getitem__)


def _is_complete(damon: Sysfs, kdamond: int) -> bool:
    return all(
        damon.found(f"{kdamond_path(kdamond)}/{count}") not in {None, "0"} for count in COUNTS
    )
