"""Which processes live too briefly to be targets. Pure, but for the question who lives.

A commit is refused as a whole when one of its processes dies before the kdamond gets to it (from
6.16 on; up to 6.12 that ends the kdamond, and all ages of the lane with it). Pods whose processes
come and go, such as a shell with `sleep 1` in a loop, would do that to their lane again and again.
So such a pod's processes become targets only when they have been there for twice as long as those
that ended, or for a minute. Nobody else waits for it.
"""

from collections.abc import Callable, Iterable
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel.intent import Member

SHORTEST_US: Final = 1_000_000
"""The least that processes of such a pod wait: the agent looks up to 200 ms after a start or an
exit, so it takes a life for that much shorter than it was."""

LONG_US: Final = 60_000_000
"""A process that was there for longer has not lived briefly: its end says nothing of the next, and
none has to have been there for longer."""

REMEMBERED_US: Final = 600_000_000
"""For how long a pod is treated so after the last brief process: twice the longest pause before the
kubelet starts a container again."""


class Lifetimes:
    """How long processes have been there, and how long they must have been, by pod."""

    def __init__(self, alive: Callable[[Process], bool]) -> None:
        self._alive = alive
        self._since_us: dict[Process, tuple[str, int]] = {}
        """Pod and first sight of every member."""
        self._probation: dict[str, tuple[int, int]] = {}
        """By pod: how long its processes must have been there, and until when that holds."""

    def look(self, members: Iterable[Member], now_us: int) -> None:
        """Take in who is there now."""
        before, self._since_us = self._since_us, {}
        for member in members:
            known = before.pop(member.process, None)
            self._since_us[member.process] = known or (member.pod_uid, now_us)
        self._probation = {
            pod: (least_us, until_us)
            for pod, (least_us, until_us) in self._probation.items()
            if now_us < until_us
        }
        for process, (pod, since_us) in before.items():
            lived_us = now_us - since_us
            if lived_us < LONG_US and not self._alive(process):
                least_us, _ = self._probation.get(pod, (SHORTEST_US, 0))
                least_us = max(least_us, min(2 * lived_us, LONG_US))
                self._probation[pod] = least_us, now_us + REMEMBERED_US

    def due_us(self, member: Member) -> int:
        """Return from when on a member may be a target."""
        pod, since_us = self._since_us[member.process]
        return since_us + self._probation.get(pod, (0, 0))[0]
