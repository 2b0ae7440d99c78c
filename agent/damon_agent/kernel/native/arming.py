"""From an allocated kdamond to an armed one: the part that happens once per boot.

Everything that arming depends on is written and read back before `on`: the kernel takes the numbers
there and then, and never again. All slots are empty at that moment, so the schemes the kernel makes
for itself, which take the memory of any target, find none.
"""

from typing import Final

from damon_agent.kernel.native import context
from damon_agent.kernel.native.boot import Phase
from damon_agent.kernel.native.classes import Layout
from damon_agent.kernel.native.kdamond import KDAMOND, NativeKdamond
from damon_agent.kernel.report import Blocked
from damon_agent.kernel.tree.commands import Keyword
from damon_agent.kernel.tree.context import render
from damon_agent.kernel.tree.features import CONTEXT, Features
from damon_agent.kernel.tree.kdamond import Answer
from damon_contract.v1alpha1.node import NodeReason

CONFIRM_US: Final = 1_000_000
"""How long the quota of the largest sentinel's scheme may take to show."""

ASK_US: Final = 200_000
"""Between two looks at it."""

QUOTA: Final = f"{CONTEXT}/schemes/1/quotas/effective_bytes"
"""A placeholder has none; the kernel's own scheme for the largest number has one once it has
worked, and that one works at once."""


def lay_out(kernel: NativeKdamond, layout: Layout, features: Features) -> None:
    """Write everything and read everything back; raise Blocked, KernelError."""
    desired = render(context.idle(layout, layout.vacant(), context.ARMING_US), features)
    kernel.files.forget()
    kernel.files.read_all(desired)
    kernel.files.write(desired)
    kernel.files.forget()
    if differing := kernel.files.read_all(desired):
        raise Blocked(
            NodeReason.WRITE_REJECTED,
            f"kdamond {KDAMOND} is not switched on, because it does not read what was written to "
            f"it: {', '.join(sorted(differing)[:3])}",
        )


class Confirmation:
    """Finds out whether the kernel's tuner has taken the kdamond.

    Each look is two questions. If there is a quota, it has. If there is none, and no placeholder
    works either, it has as well: free memory grew right away, so that all its schemes sleep, which
    placeholders never do. If a placeholder does work, the tuner was armed before in this boot and
    works on freed memory: the only way to stop that is `off`.
    """

    def __init__(self, kernel: NativeKdamond, now_us: int) -> None:
        self.next_us = now_us
        self._kernel = kernel
        self._late_us = now_us + CONFIRM_US
        self._is_late = False
        self._placeholder_works: bool | None = None

    def ask(self, now_us: int) -> None:
        """Put the next question, if it is time; raise Crashed, KernelError."""
        if now_us < self.next_us:
            return
        if self._placeholder_works is None:
            self._is_late = now_us >= self._late_us
            self._kernel.tell(Keyword.UPDATE_SCHEMES_STATS, now_us)
        else:
            self._kernel.tell(Keyword.UPDATE_SCHEMES_EFFECTIVE_QUOTAS, now_us)
        self.next_us = now_us + ASK_US

    def answered(self, answer: Answer, now_us: int) -> Phase | None:
        """Return the phase that follows, None: it is not known yet; raise KernelError."""
        if answer.error is not None:
            raise answer.error
        if answer.keyword is Keyword.UPDATE_SCHEMES_STATS:
            self._placeholder_works = self._kernel.files.counter(0, "nr_snapshots") > 0
            self.next_us = now_us
            return None
        works, self._placeholder_works = self._placeholder_works, None
        if self._kernel.read(QUOTA) != "0":
            return Phase.RUNNING
        if not self._is_late:
            return None
        return Phase.LEAVING if works else Phase.RUNNING
