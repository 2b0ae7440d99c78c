"""What one kernel version offers: its tree, its keywords, its manners.

A profile is data (`<name>.json` beside this file): the tree as it was read from that kernel, the
keywords it accepts, and the flags in which kernels differ although their trees look alike.
"""

import errno
import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Final, Literal

NAMES: Final = ("6.1", "6.12", "6.18", "7.2", "7.3", "rfc")
"""`rfc` is 7.0 plus the never merged `target_priority` patches."""

FilterRule = Literal["none", "reject", "allow"]


@dataclass(frozen=True)
class FileSpec:
    """One attribute file: permission bits, the parser that reads writes, the value when created."""

    mode: int
    kind: str
    default: str


@dataclass(frozen=True)
class DirectorySpec:
    """A directory: its files, its fixed sub-directories, and what its numbered children look like.

    `counter` names the `nr_*` file that makes the numbered children, if one does.
    """

    files: dict[str, FileSpec] = field(default_factory=dict)
    directories: "dict[str, DirectorySpec]" = field(default_factory=dict)
    element: "DirectorySpec | None" = None

    @property
    def counter(self) -> str | None:
        """Name of the `nr_*` file that makes the numbered children."""
        return next((name for name, spec in self.files.items() if spec.kind == "count"), None)


@dataclass(frozen=True)
class Profile:
    """A kernel version as the emulator plays it.

    synchronous: `commit` and `update_*` run as calls inside the kdamond right after a sample,
        report errors, and hold the global lock for the whole wait (6.16 and later). Otherwise the
        writer polls a request every 100 ms, the lock is free meanwhile, and errors are lost.
    updates_at_aggregation: requests other than commit also wait for the aggregation (6.1).
    ops_update_by_clock: the ranges are renewed by wall time, not by samples (6.1).
    commit_may_fail_silently: a failing commit returns success and ends the kdamond (6.1, 6.12).
    commit_hangs_when_inactive: commit is skipped while the watermarks sleep (6.12).
    activated_reset_on_commit: every commit re-activates all schemes (6.12 and later).
    set_attrs_each_commit: every commit restarts the timers of ops update, aggregation and
        application (6.12).
    first_window_unlimited: quotas bind only after their first window (6.12 to 6.17).
    ages_converted: a commit of other intervals converts ages (not on 6.1).
    aggregation_below_sample_accepted: no check of aggregation against sampling interval (6.1).
    clear_needs_running: `clear_schemes_tried_regions` is EINVAL unless running (6.1, 6.12).
    empty_region_accepted: a region 0-0 is no error (6.18).
    oops_without_context: kdamond-bound keywords with nr_contexts=0 crash the writer with the lock
        held (6.17.13, 6.18.15).
    walk_dangles: `update_schemes_tried_*` when stopped leaves every later one EBUSY (6.17, 6.18).
    stopped_errno: what kdamond-bound keywords give after the kdamond has run and stopped.
    tried_counted_twice: the numbers of tried regions skip, and go on from the last time (6.18).
    off_when_stopped_accepted: `off` of a kdamond that has run and stopped is no error (7.3).
    obsolete_refused_at_on: `on` with an obsolete target is EINVAL (7.3); before, the mark was
        ignored.
    enable_is_true: flags may be written as words that start with e or d, too
        (6.18 and later).
    filter_rule: no filters; reject only; allow or reject.
    tuner: the priority patches' in-kernel tuner.
    modules: exclusive users of DAMON that exist as modules.
    module_enable_fails_silently: enabling one while a kdamond runs reports success (6.1).
    damon_stat_has_pid: damon_stat has a kdamond_pid parameter.
    """

    name: str
    root: DirectorySpec
    words: dict[str, frozenset[str]]
    synchronous: bool = False
    updates_at_aggregation: bool = False
    ops_update_by_clock: bool = False
    commit_may_fail_silently: bool = False
    commit_hangs_when_inactive: bool = False
    activated_reset_on_commit: bool = False
    set_attrs_each_commit: bool = False
    first_window_unlimited: bool = False
    ages_converted: bool = False
    aggregation_below_sample_accepted: bool = False
    clear_needs_running: bool = False
    empty_region_accepted: bool = False
    oops_without_context: bool = False
    walk_dangles: bool = False
    stopped_errno: int = errno.EINVAL
    tried_counted_twice: bool = False
    off_when_stopped_accepted: bool = False
    obsolete_refused_at_on: bool = False
    enable_is_true: bool = False
    filter_rule: FilterRule = "none"
    tuner: bool = False
    modules: tuple[str, ...] = ()
    module_enable_fails_silently: bool = False
    damon_stat_has_pid: bool = False


def load(name: str) -> Profile:
    """Return the profile called `name`, one of `NAMES`; LookupError for any other."""
    if name not in NAMES:
        raise LookupError(f"no profile {name!r}; there are {', '.join(NAMES)}")
    data = json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text("utf-8"))
    flags = dict(data["flags"])
    flags["modules"] = tuple(flags["modules"])
    flags["stopped_errno"] = getattr(errno, flags.get("stopped_errno", "EINVAL"))
    root = DirectorySpec()
    for template, (mode, kind, default) in data["files"].items():
        root = _with(root, template.split("/"), FileSpec(int(mode, 8), kind, default))
    words = {name: frozenset(accepted) for name, accepted in data["words"].items()}
    return Profile(name=name, root=root, words=words, **flags)


def _with(spec: DirectorySpec, path: list[str], file: FileSpec) -> DirectorySpec:
    head, *rest = path
    if not rest:
        return DirectorySpec({**spec.files, head: file}, spec.directories, spec.element)
    if head == "*":
        element = _with(spec.element or DirectorySpec(), rest, file)
        return DirectorySpec(spec.files, spec.directories, element)
    inner = _with(spec.directories.get(head, DirectorySpec()), rest, file)
    return DirectorySpec(spec.files, {**spec.directories, head: inner}, spec.element)
