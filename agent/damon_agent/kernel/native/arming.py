"""From an allocated kdamond to an armed one: the part that happens once per boot.

Everything that arming depends on is written and read back before `on`: the kernel takes the numbers
there and then, and never again. All slots are empty at that moment, so the schemes the kernel makes
for itself, which take the memory of any target, find none.
"""

from dataclasses import replace
from typing import Final

from damon_agent.kernel.claim import Claim
from damon_agent.kernel.classes import MAX_SENTINEL, Layout
from damon_agent.kernel.commands import Keyword
from damon_agent.kernel.errors import Busy, KernelError
from damon_agent.kernel.features import CONTEXT, Features
from damon_agent.kernel.native import context
from damon_agent.kernel.native.kdamond import NativeKdamond
from damon_agent.kernel.native.phase import Phase
from damon_agent.kernel.record import Record
from damon_agent.kernel.report import Withheld
from damon_agent.kernel.tree import render
from damon_contract.v1alpha1.node import NodeReason

CONFIRM_US: Final = 1_000_000
"""How long the quota of the largest sentinel's scheme may take to show."""

ASK_US: Final = 200_000
"""Between two looks at it."""


class Arming:
    """Writes the tree, switches on, and finds out whether the kernel's tuner has taken it."""

    def __init__(self, claim: Claim, kdamond: NativeKdamond) -> None:
        self._claim = claim
        self._kdamond = kdamond
        self._since_us: int | None = None
        self.next_us = 0

    def arm(self, record: Record, layout: Layout, features: Features, now_us: int) -> None:
        """Write everything, read everything back, note it, switch on.

        Raise Withheld, KernelError, StateUnwritable; then nothing is armed.
        """
        desired = render(context.arming(layout), features)
        files = self._kdamond.files
        files.forget()
        files.sweep(desired)
        files.write(desired)
        files.forget()
        if differing := files.sweep(desired):
            raise Withheld(
                NodeReason.WRITE_REJECTED,
                "kdamond 0 is not switched on, because it does not read what was written to it: "
                + ", ".join(sorted(differing)[:3]),
            )
        armed = replace(
            record,
            armed=True,
            phase=Phase.ARMED.value,
            target_priorities=layout.numbers,
            kdamonds=(layout.vacant(),),
        )
        if self._kdamond.look() == "on":
            raise Withheld(
                NodeReason.DAMON_BUSY, "somebody else has switched kdamond 0 on; it is left alone"
            )
        self._since_us = None
        self._claim.keep(armed)
        # Nothing may fail between the note and the write: a note without `on` costs the boot.
        self._kdamond.switch_on(now_us, lambda error, _: self._switched_on(error, record))

    def _switched_on(self, error: KernelError | None, before: Record) -> None:
        """Take the note back if the kernel's lock was held: then nothing at all has happened.

        After any other error it may have run for an instant; the next step looks at its state.
        """
        if isinstance(error, Busy):
            self._claim.keep(before)
        if error is not None:
            raise error

    def confirm(self, record: Record, now_us: int) -> None:
        """Ask, and note in the record what the answer means. Raise Crashed, KernelError."""
        if self._since_us is None:
            self._since_us = now_us
        if now_us < self.next_us:
            return
        self.next_us = now_us + ASK_US
        if now_us - self._since_us < CONFIRM_US:
            self._ask_quota(record, now_us, otherwise=None)
        else:
            self._kdamond.start(
                Keyword.UPDATE_SCHEMES_STATS,
                now_us,
                lambda error, then_us: self._stats_shown(error, record, then_us),
            )

    def _ask_quota(self, record: Record, now_us: int, *, otherwise: Phase | None) -> None:
        """Look for a quota: a placeholder has none, the kernel's own scheme once it has worked."""

        def shown(error: KernelError | None, _now_us: int) -> None:
            if error is not None:
                raise error
            path = f"{CONTEXT}/schemes/{MAX_SENTINEL}/quotas/effective_bytes"
            phase = otherwise if self._kdamond.read(path) == "0" else Phase.RUNNING
            if phase is not None:
                self._to(phase, record)

        self._kdamond.start(Keyword.UPDATE_SCHEMES_EFFECTIVE_QUOTAS, now_us, shown)

    def _stats_shown(self, error: KernelError | None, record: Record, now_us: int) -> None:
        """Decide without a quota: the scheme has not worked if free memory grew right away.

        Then all schemes sleep, while a placeholder works at every aggregation. If one does, and
        there is still no quota, the tuner has not made these schemes: it was armed before in this
        boot, and works on freed memory. The only way to stop it is `off`.
        """
        if error is not None:
            raise error
        if self._kdamond.read(f"{CONTEXT}/schemes/0/stats/nr_snapshots") == "0":
            self._to(Phase.RUNNING, record)
        else:
            self._ask_quota(record, now_us, otherwise=Phase.LEAVING)

    def _to(self, phase: Phase, record: Record) -> None:
        self._claim.keep(replace(record, phase=phase.value))
        self.next_us = 0
