"""The in-kernel tuner of the priority patches, defects included. Never merged; profile `rfc` only.

It runs in both loops of every kdamond with a target of priority > 0: when that samples, and when
all schemes sleep. Its state is static: armed once
per boot, for one context, never reset. Where the real kernel's fate depends on the allocator, the
emulator takes the bad outcome, always.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from .context import PADDR, Context
from .parse import UINT_MAX, ULONG_MAX
from .processes import Identity
from .scheme import Filter, Pattern, QuotaLimits, Scheme, SchemeInput
from .watermarks import Watermarks

CHECK_US: Final = 5_000_000
LOWEST_MARK: Final = 100
COLD_AGGREGATIONS: Final = 120
_WRAP: Final = ULONG_MAX + 1


class Panic(Exception):  # noqa: N818  # the kernel's own word for it
    """The kernel died; the message says of what."""


@dataclass
class Tuner:
    """The static variables: whom it was armed for, how many lived then, when it last looked."""

    armed: Context | None = None
    live: int = 0
    checked_us: int = 0

    def visit(
        self,
        context: Context,
        now_us: int,
        free_permille: int,
        exists: Callable[[Identity], bool],
    ) -> Literal["arm", "retune"] | None:
        """Take one pass for a context; return what was done ("arm", "retune"), if anything.

        Raises Panic.
        """
        if not any(target.priority for target in context.targets):
            return None
        if self.armed is None:
            self._arm(context, now_us, free_permille, exists)
            return "arm"
        if self.armed.freed:
            raise Panic("use after free: the tuner walks the context it was armed for")
        if now_us - self.checked_us < CHECK_US:
            return None
        self.checked_us = now_us
        if self.armed.operations == PADDR:
            return None
        priorities = _live_priorities(self.armed, exists)
        if len(priorities) == self.live:
            return None
        self.live = len(priorities)
        _set_marks(self.armed, priorities, free_permille)
        return "retune"

    def _arm(
        self,
        context: Context,
        now_us: int,
        free_permille: int,
        exists: Callable[[Identity], bool],
    ) -> None:
        self.armed = context
        self.checked_us = now_us
        self.live = len(context.targets)
        if context.operations == PADDR:
            context.schemes = [_auto_scheme(context, ())]
            return
        context.schemes = []
        for index in range(len(context.targets)):
            only = Filter("target", matching=True, allow=True, target_index=index)
            scheme = _auto_scheme(context, (only,))
            # The step that sets "reject what no filter matched" is skipped: nothing is isolated.
            scheme.default_reject = False
            context.schemes.append(scheme)
        _set_marks(context, _live_priorities(context, exists), free_permille)


def _auto_scheme(context: Context, filters: tuple[Filter, ...]) -> Scheme:
    wanted = SchemeInput(
        action="pageout",
        pattern=Pattern(4096, ULONG_MAX, 0, 0, COLD_AGGREGATIONS, UINT_MAX),
        limits=QuotaLimits(time_ms=10, size_bytes=128 * 1024 * 1024, window_ms=1000),
        watermarks=Watermarks("free_mem_rate", CHECK_US, 500, 400, 200),
        filters=filters,
    )
    scheme = Scheme.made(wanted, 0)
    scheme.next_apply = context.passed_samples + context.apply_samples(scheme)
    return scheme


def _live_priorities(context: Context, exists: Callable[[Identity], bool]) -> dict[int, int]:
    """Return priority by index of the targets whose process is there, zombies included."""
    return {
        index: target.priority
        for index, target in enumerate(context.targets)
        if target.process is not None and exists(target.process)
    }


def _set_marks(context: Context, priorities: dict[int, int], free_permille: int) -> None:
    """Give each scheme with a core filter of a live target's index the mark of that target.

    Nothing is computed, and so nothing divided, where there is no such scheme. Raises Panic.
    """
    for index, priority in priorities.items():
        for scheme in context.schemes:
            if any(f.core and f.target_index == index for f in scheme.wanted.filters):
                scheme.set_mark(_mark(priority, priorities, free_permille))


def _mark(priority: int, priorities: dict[int, int], free_permille: int) -> int:
    """Return the mark of a live target, in unsigned 64 bit arithmetic: it wraps below 100.

    The larger number gets the higher mark: it is reclaimed first.
    """
    lowest, highest = min(priorities.values()), max(priorities.values())
    if lowest == highest:
        raise Panic("divide error: all live targets have the same priority")
    reach = (free_permille - LOWEST_MARK) % _WRAP
    return ((priority - lowest) * reach % _WRAP // (highest - lowest) + LOWEST_MARK) % _WRAP
