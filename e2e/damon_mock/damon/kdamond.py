"""The kdamond thread: a transcript of mm/damon/core.c:kdamond_fn as a generator of sleeps."""

from collections.abc import Generator

from . import serving
from .applying import apply_schemes
from .context import PADDR, Context
from .kernel import Kernel
from .memory import Range, layout
from .processes import Identity
from .requests import Moment, Request
from .target import Target
from .tree import Directory
from .tuner import Panic


class Kdamond:
    """One directory below kdamonds/, its thread if it runs, and its kernel copy.

    context: None before the first successful `on`; kept when the thread stops. request: the keyword
    that waits for this kdamond. dangling_walk: a 6.17/6.18 bug has left a walk on a dead stack.
    crashed: the thread died of an oops and nobody noticed: it counts as running, with its old pid.
    busy: it is applying schemes and looks at nothing else. told_to_stop: it ends when it looks.
    """

    def __init__(self, index: int, directory: Directory, kernel: Kernel) -> None:
        self.index = index
        self.directory = directory
        self.kernel = kernel
        self.context: Context | None = None
        self.pid = -1
        self.wake_us = 0
        self.request: Request | None = None
        self.dangling_walk = False
        self.crashed = False
        self.busy = False
        self.told_to_stop = False
        self._thread: Generator[int, None, None] | None = None

    @property
    def running(self) -> bool:
        """Whether `state` reads on."""
        return self._thread is not None

    @property
    def alive(self) -> bool:
        """Whether there is a thread of that pid, named kdamond.N."""
        return self.running and not self.crashed

    def start(self, context: Context) -> None:
        """Start the thread; its first pass happens when time is next looked at."""
        self.context = context
        self.pid = self.kernel.start_thread()
        self.dangling_walk = False
        self.told_to_stop = False
        self.wake_us = self.kernel.now_us
        self._thread = self._loop(context)
        self.kernel.note("on", self.index)

    def stop(self, detail: str) -> None:
        """End the thread; the kernel copy stays until the next `on` or nr_kdamonds."""
        if self._thread is not None:
            self._thread.close()
            self._ended(detail)

    def free(self) -> None:
        """Give back the kernel copy."""
        if self.context is not None:
            self.context.freed = True
        self.context = None

    def step(self) -> None:
        """Run the thread until it sleeps again or ends; only at `wake_us`."""
        if self._thread is None:
            return
        try:
            self.wake_us = self.kernel.now_us + next(self._thread)
        except StopIteration:
            self._ended("off" if self.told_to_stop else "by itself")
        except Panic as panic:
            if self.kernel.panic_on_oops:
                self.kernel.panic(str(panic), self.index)
                self._ended("panic")
            else:
                self.crashed = True
                self.kernel.processes.thread_ended(self.pid)
                self.kernel.note("oops", self.index, detail=str(panic))

    def _ended(self, detail: str) -> None:
        self._thread = None
        self.kernel.end_thread(self.pid)
        self.pid = -1
        self.kernel.note("stop", self.index, detail=detail)

    def _loop(self, context: Context) -> Generator[int, None, None]:
        self._renew_ranges(context, only_missing=True)
        while not self._must_end(context):
            # Read here and used for the whole pass, as the kernel does: a commit in between moves
            # the timers only from the next pass on.
            next_aggregation, next_update = context.next_aggregation, context.next_update
            while wait_us := self._asleep_us(context):
                yield wait_us
                if not self._serve(context, "inactive") or self._must_end(context):
                    return
            yield max(1, context.attrs.sample_us)
            context.passed_samples += 1
            aggregated = context.passed_samples >= next_aggregation
            if aggregated:
                self._aggregate(context)
                if not self._serve(context, "aggregated"):
                    return
            if not self._serve(context, "sampled"):
                return
            serving.refresh(self.kernel, self.directory, context)
            self.busy = True
            yield from apply_schemes(self.kernel, self.index, context)
            self.busy = False
            self._walk_on(context)
            if aggregated:
                context.next_aggregation = next_aggregation + context.attrs.aggregation_samples
            self._update(context, next_update)

    def _must_end(self, context: Context) -> bool:
        if self.told_to_stop:
            return True
        if context.operations == PADDR:
            return False
        exists = self.kernel.processes.exists
        return not any(t.process is not None and exists(t.process) for t in context.targets)

    def _asleep_us(self, context: Context) -> int:
        """Return how long to sleep because of the watermarks, once the tuner has set them."""
        if self.kernel.profile.tuner:
            self._tune(context)
        return self._inactive_us(context)

    def _tune(self, context: Context) -> None:
        kernel = self.kernel
        done = kernel.tuner.visit(
            context, kernel.now_us, kernel.memory.free_permille(), kernel.processes.exists
        )
        if done is not None:
            kernel.note(done, self.index)

    def _inactive_us(self, context: Context) -> int:
        """Let every scheme look at its watermarks; return how long to sleep, 0 for not at all."""
        if context.paused:
            return max(1, context.attrs.sample_us)
        free_permille = self.kernel.memory.free_permille()
        shortest: int | None = None
        for scheme in context.schemes:
            wait_us, scheme.activated = scheme.wanted.watermarks.wait_us(
                free_permille, activated=scheme.activated
            )
            shortest = wait_us if shortest is None else min(shortest, wait_us)
        return shortest or 0

    def _aggregate(self, context: Context) -> None:
        most = context.attrs.aggregation_samples
        for target in context.targets:
            target.aggregate(self._touched(target.process), most)

    def _touched(self, process: Identity | None) -> list[Range]:
        if process is None or not self.kernel.processes.has_memory(process):
            return []
        usage = self.kernel.memory.usage(process)
        where = layout(process, usage)
        return [where.mappings, where.stack] if usage.hot_bytes else []

    def _update(self, context: Context, next_update: int) -> None:
        if self.kernel.profile.ops_update_by_clock:
            if self.kernel.now_us - context.last_update_us < context.attrs.update_us:
                return
            context.last_update_us = self.kernel.now_us
        elif context.passed_samples < next_update:
            return
        else:
            context.next_update = next_update + context.attrs.update_samples
        self._renew_ranges(context, only_missing=False)

    def _renew_ranges(self, context: Context, *, only_missing: bool) -> None:
        """Give targets the ranges of their processes; without an address space nothing changes."""
        if context.operations != "vaddr":
            return
        for target in context.targets:
            if not (only_missing and target.regions):
                self._renew(target)

    def _renew(self, target: Target) -> None:
        process = target.process
        if process is not None and self.kernel.processes.has_memory(process):
            target.set_regions(layout(process, self.kernel.memory.usage(process)).ranges)

    def _serve(self, context: Context, moment: Moment) -> bool:
        """Serve the waiting keyword if this is its moment; False when the kdamond must end."""
        request = self.request
        if request is None or request.hangs or request.served:
            return True
        if not serving.is_moment(self.kernel.profile, request, moment):
            return True
        if request.is_walk:
            return self._serve_walk(context, request, moment)
        return self._execute(context, request)

    def _serve_walk(self, context: Context, request: Request, moment: Moment) -> bool:
        """Begin to collect tried regions, or end it because all schemes sleep.

        Since 6.16 a walk that finds all asleep is cancelled; before, it shows what it has at the
        second look.
        """
        begins = request.walk_left is None
        if moment == "inactive" and self.kernel.profile.synchronous:
            serving.cancel(request)
        elif begins:
            request.walk_left = {id(scheme) for scheme in context.schemes}
            for scheme in context.schemes:
                scheme.tried = []
            self._walk_on(context)
        elif moment == "inactive":
            return self._execute(context, request)
        return True

    def _execute(self, context: Context, request: Request) -> bool:
        try:
            serving.execute(self.kernel, self.directory, context, request.keyword)
        except OSError as error:
            if self.kernel.profile.commit_may_fail_silently:
                request.served = True
                return False
            request.error = error
        else:
            if request.keyword == "commit":
                self.kernel.note("commit", self.index)
        request.served = True
        return not request.stops_kdamond

    def _walk_on(self, context: Context) -> None:
        """Tick off the schemes that were applied in this pass; a walk with none left is over."""
        request = self.request
        if request is None or request.walk_left is None or request.served:
            return
        request.walk_left -= {
            id(scheme)
            for scheme in context.schemes
            if scheme.next_apply == context.passed_samples + context.apply_samples(scheme)
        }
        if not request.walk_left:
            self._execute(context, request)
