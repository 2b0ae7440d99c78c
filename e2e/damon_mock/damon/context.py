"""The kernel copy of a context: what runs, as opposed to what sysfs says.

Source: mm/damon/core.c (damon_commit_ctx, damon_commit_targets, damon_set_attrs).
"""

import errno
from dataclasses import dataclass, field
from typing import Final

from .described import Attrs, ContextInput, TargetInput
from .parse import UINT_MAX, failure
from .profiles import Profile
from .scheme import Scheme
from .target import Target


@dataclass
class Context:
    """A running (or stopped, but not yet freed) context.

    passed_samples: samples since `on`; the next_* are counted in them. last_update_us: for kernels
    that renew ranges by wall time. paused: it only answers keywords (7.2). freed: the memory was
    given back; whoever still looks at it (the priority patches do) uses freed memory.
    """

    operations: str
    attrs: Attrs
    targets: list[Target]
    schemes: list[Scheme] = field(default_factory=list)
    passed_samples: int = 0
    next_aggregation: int = 0
    next_update: int = 0
    last_update_us: int = 0
    paused: bool = False
    freed: bool = False

    def apply_samples(self, scheme: Scheme) -> int:
        """Return the samples between two applications of a scheme."""
        interval_us = scheme.wanted.apply_interval_us or self.attrs.aggregation_us
        return interval_us // max(1, self.attrs.sample_us)


PADDR: Final = "paddr"


def made(wanted: ContextInput, profile: Profile, now_us: int) -> Context:
    """Build the context of a successful `on`: obsolete marks are ignored, priorities taken."""
    targets = [_new_target(described) for described in wanted.targets]
    if profile.tuner:
        for target, described in zip(targets, wanted.targets, strict=True):
            target.priority = described.priority
    context = Context(wanted.operations, wanted.attrs, targets, paused=wanted.paused)
    restart_timers(context)
    for wished in wanted.schemes:
        scheme = Scheme.made(wished, 0)
        scheme.next_apply = context.apply_samples(scheme)
        context.schemes.append(scheme)
    context.last_update_us = now_us
    return context


def restart_timers(context: Context) -> None:
    """Count aggregation, ops update and scheme application from now (damon_set_attrs)."""
    context.next_aggregation = context.passed_samples + context.attrs.aggregation_samples
    context.next_update = context.passed_samples + context.attrs.update_samples
    for scheme in context.schemes:
        scheme.next_apply = context.passed_samples + context.apply_samples(scheme)


def commit(context: Context, wanted: ContextInput, profile: Profile) -> None:
    """Let a running context become what sysfs describes; OSError before anything changed."""
    obsolete = [described.obsolete for described in wanted.targets]
    if any(obsolete[len(context.targets) :]):
        raise failure(errno.EINVAL)
    context.operations = wanted.operations
    context.paused = wanted.paused
    _commit_schemes(context, wanted, profile)
    _commit_targets(context, wanted)
    _commit_attrs(context, wanted.attrs, profile)


def _commit_targets(context: Context, wanted: ContextInput) -> None:
    """Match by index: whoever is in a slot inherits its regions and ages; the tail is dropped."""
    survivors: list[Target] = []
    for target, described in zip(context.targets, wanted.targets, strict=False):
        if described.obsolete:
            continue
        target.process = described.process
        if described.ranges:
            target.set_regions(described.ranges)
        survivors.append(target)
    appended = wanted.targets[len(context.targets) :]
    context.targets = survivors + [_new_target(described) for described in appended]


def _commit_schemes(context: Context, wanted: ContextInput, profile: Profile) -> None:
    for scheme, described in zip(context.schemes, wanted.schemes, strict=False):
        scheme.change(described, reactivate=profile.activated_reset_on_commit)
    for described in wanted.schemes[len(context.schemes) :]:
        added = Scheme.made(described, 0)
        added.next_apply = context.passed_samples + context.apply_samples(added)
        context.schemes.append(added)
    del context.schemes[len(wanted.schemes) :]


def _commit_attrs(context: Context, attrs: Attrs, profile: Profile) -> None:
    old = context.attrs
    if attrs == old and not profile.set_attrs_each_commit:
        return
    context.attrs = attrs
    intervals_changed = (attrs.sample_us, attrs.aggregation_us) != (
        old.sample_us,
        old.aggregation_us,
    )
    if profile.ages_converted and intervals_changed:
        for target in context.targets:
            for region in target.regions:
                age = region.age * old.aggregation_us // max(1, attrs.aggregation_us)
                region.age = age & UINT_MAX
                region.nr_accesses = _scaled(region.nr_accesses, old, attrs)
                region.last_nr_accesses = region.nr_accesses
    if not profile.ops_update_by_clock:
        restart_timers(context)
    else:
        context.next_aggregation = context.passed_samples + attrs.aggregation_samples


def _scaled(nr_accesses: int, old: Attrs, new: Attrs) -> int:
    return nr_accesses * new.aggregation_samples // max(1, old.aggregation_samples)


def _new_target(described: TargetInput) -> Target:
    target = Target(described.process)
    if described.ranges:
        target.set_regions(described.ranges)
    return target
