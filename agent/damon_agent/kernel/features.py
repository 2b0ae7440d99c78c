"""What this kernel's DAMON offers, found by looking at its files; versions are never asked. Pure.

Most files show only once there is a context, a target and a scheme, so `missing_counts` says what
to create first. Which file came with which release is noted where it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

CONTEXT: Final = "contexts/0"
TARGET: Final = f"{CONTEXT}/targets/0"
SCHEME: Final = f"{CONTEXT}/schemes/0"

PROBED: Final = (
    ("refresh_ms", "", "refresh_ms"),
    ("addr_unit", CONTEXT, "addr_unit"),
    ("pause", CONTEXT, "pause"),
    ("intervals_goal", f"{CONTEXT}/monitoring_attrs/intervals", "intervals_goal"),
    ("probes", f"{CONTEXT}/monitoring_attrs", "probes"),
    ("obsolete_target", TARGET, "obsolete_target"),
    ("target_priority", TARGET, "target_priority"),
    ("apply_interval_us", SCHEME, "apply_interval_us"),
    ("target_nid", SCHEME, "target_nid"),
    ("filters", SCHEME, "filters"),
    ("core_filters", SCHEME, "core_filters"),
    ("ops_filters", SCHEME, "ops_filters"),
    ("dests", SCHEME, "dests"),
    ("tried_regions", SCHEME, "tried_regions"),
    ("effective_bytes", f"{SCHEME}/quotas", "effective_bytes"),
    ("goals", f"{SCHEME}/quotas", "goals"),
    ("fail_charge", f"{SCHEME}/quotas", "fail_charge_num"),
    ("nr_snapshots", f"{SCHEME}/stats", "nr_snapshots"),
)
"""(feature, directory below a kdamond, name in it that shows it)."""

DIRECTORIES: Final = tuple(dict.fromkeys(directory for _, directory, _ in PROBED))

COUNTS: Final = (
    f"{CONTEXT.rpartition('/')[0]}/nr_contexts",
    f"{CONTEXT}/targets/nr_targets",
    f"{CONTEXT}/schemes/nr_schemes",
)
"""What must be at least 1 before everything shows, in this order."""


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
    def commit_may_act(self) -> bool:
        """Whether a commit may let each scheme act once, whatever its watermarks say.

        It marks all as active, and if it comes when one is due that one acts before the watermarks
        are looked at again. Where a commit restarts the clocks none is due then.
        """
        return self.commit_keeps_clocks

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
