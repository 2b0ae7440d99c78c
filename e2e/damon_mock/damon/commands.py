"""The `state` file: what each keyword does in each situation, who waits, and who holds the lock."""

import errno

from . import context as contexts
from . import described, serving
from .events import Writer
from .faults import Effect, Hangs, Killed, StopsKdamond
from .kdamond import Kdamond
from .kernel import Kernel
from .parse import failure
from .requests import POLL_US, Pending, Request


class Commands:
    """Keywords on their way to kdamonds of one machine.

    Since 6.16 the waiting writer holds the global lock; before, one global request waits and its
    writer polls it. Writers that hang by injection poll too, and hold nothing.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._waiting: list[tuple[Kdamond, Request]] = []
        self._stopping: list[tuple[Kdamond, Pending]] = []

    @property
    def locked(self) -> bool:
        """Whether somebody holds the global lock now, so that everybody else gets EBUSY."""
        if self._kernel.wedged or self._stopping:
            return True
        return self._kernel.profile.synchronous and any(not r.hangs for _, r in self._waiting)

    @property
    def request_waits(self) -> bool:
        """Whether the one global request of kernels before 6.16 is taken."""
        return not self._kernel.profile.synchronous and any(
            not request.served for _, request in self._waiting
        )

    def turn_on(self, kdamond: Kdamond, writer: Writer, *, exclusive_runs: bool) -> None:
        """Obey `on`; EBUSY too while an exclusive user of DAMON runs."""
        kernel = self._kernel
        found = kdamond.directory.descend("contexts").numbered
        if len(found) != 1:
            raise failure(errno.EINVAL)
        if kdamond.running or kdamond.request is not None:
            raise failure(errno.EBUSY)
        kdamond.free()
        wanted = described.take(found[0], kernel.profile, kernel.lookup(writer.namespace))
        if kernel.profile.obsolete_refused_at_on and any(t.obsolete for t in wanted.targets):
            raise failure(errno.EINVAL)
        if exclusive_runs:
            raise failure(errno.EBUSY)
        kdamond.start(contexts.made(wanted, kernel.profile, kernel.now_us))

    def write(
        self, kdamond: Kdamond, keyword: str, pending: Pending, effect: Effect | None
    ) -> Pending | None:
        """Obey a keyword other than `on`, the lock being free; Pending if the write waits."""
        if keyword == "off":
            return self._turn_off(kdamond, pending)
        profile = self._kernel.profile
        if not kdamond.directory.descend("contexts").numbered:
            self._without_context(kdamond, keyword)
        if keyword == "clear_schemes_tried_regions" and not profile.clear_needs_running:
            serving.clear_tried(kdamond.directory, profile)
            return None
        return self._ask(kdamond, keyword, pending, effect)

    def next_poll_us(self) -> int | None:
        """Return when the next waiting writer looks again."""
        return min((request.next_poll_us for _, request in self._waiting), default=None)

    def look(self) -> None:
        """Let every write return whose time has come."""
        still: list[tuple[Kdamond, Request]] = []
        for kdamond, request in self._waiting:
            if self._returns(kdamond, request):
                if kdamond.request is request:
                    kdamond.request = None
            else:
                still.append((kdamond, request))
        self._waiting = still
        for kdamond, pending in self._stopping:
            if not kdamond.running:
                pending.resolve()
        self._stopping = [(k, pending) for k, pending in self._stopping if not pending.done]

    def _returns(self, kdamond: Kdamond, request: Request) -> bool:
        now_us = self._kernel.now_us
        if self._kernel.profile.synchronous and not request.hangs:
            request.next_poll_us = now_us + POLL_US
            if request.served:
                request.pending.resolve(request.error)
            elif not kdamond.running:
                request.pending.resolve(failure(errno.ECANCELED))
            return request.pending.done
        if now_us < request.next_poll_us:
            return False
        if request.served or not kdamond.running:
            request.pending.resolve()
            return True
        request.next_poll_us = now_us + POLL_US
        return False

    def _turn_off(self, kdamond: Kdamond, pending: Pending) -> Pending | None:
        """Stop the thread. Its sleep is cut short, but not its work: then the write waits."""
        if kdamond.context is None:
            raise failure(errno.EINVAL)
        if not kdamond.running:
            if self._kernel.profile.off_when_stopped_accepted:
                return None
            raise failure(errno.EPERM)
        if kdamond.crashed:
            self._kernel.oops("use after free: off of a thread that is gone", kdamond.index)
            raise Killed("the kernel crashed in this write of off")
        if kdamond.busy:
            kdamond.told_to_stop = True
            self._stopping.append((kdamond, pending))
            return pending
        kdamond.stop("off")
        return None

    def _without_context(self, kdamond: Kdamond, keyword: str) -> None:
        clears = keyword == "clear_schemes_tried_regions"
        if self._kernel.profile.oops_without_context and (clears or kdamond.running):
            self._kernel.oops(f"NULL dereference: {keyword} with nr_contexts 0", kdamond.index)
            raise Killed(f"the kernel crashed in this write of {keyword}")
        raise failure(errno.EINVAL)

    def _ask(
        self, kdamond: Kdamond, keyword: str, pending: Pending, effect: Effect | None
    ) -> Pending:
        profile = self._kernel.profile
        if self.request_waits or (kdamond.request is not None and kdamond.request.hangs):
            raise failure(errno.EBUSY)
        request = Request(keyword, pending, self._kernel.now_us + POLL_US)
        if not kdamond.running:
            if request.is_walk and profile.walk_dangles and kdamond.dangling_walk:
                raise failure(errno.EBUSY)
            kdamond.dangling_walk = request.is_walk and profile.walk_dangles
            never_ran = kdamond.context is None
            raise failure(errno.EINVAL if never_ran else profile.stopped_errno)
        request.hangs = isinstance(effect, Hangs)
        request.stops_kdamond = isinstance(effect, StopsKdamond)
        kdamond.request = request
        self._waiting.append((kdamond, request))
        return pending
