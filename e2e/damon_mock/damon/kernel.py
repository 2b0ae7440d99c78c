"""What all kdamonds of one emulated machine share: its clock, processes, memory, and its fate."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .described import Lookup
from .events import Event, EventKind
from .memory import Memory
from .processes import INIT, PID_MAX_LIMIT, Identity, ProcessTable
from .profiles import Profile
from .tuner import Tuner


@dataclass
class Kernel:
    """One boot of one machine.

    panicked: of what the kernel died; nothing works any more. wedged: a writer crashed with the
    global lock held; whoever takes it gets EBUSY until the next boot. panic_on_oops: whether a
    crash in a kdamond is the end of all, or of that thread only. running: how many kdamonds run, or
    never ended because they crashed.
    """

    profile: Profile
    processes: ProcessTable
    memory: Memory
    memcg_exists: Callable[[str], bool]
    panic_on_oops: bool = True
    now_us: int = 0
    events: list[Event] = field(default_factory=list)
    tuner: Tuner = field(default_factory=Tuner)
    panicked: str | None = None
    wedged: bool = False
    next_refresh_us: int = 0
    running: int = 0
    last_pid: int = PID_MAX_LIMIT

    def start_thread(self) -> int:
        """Start the thread of a kdamond; return its pid.

        It is named after how many ran before it, so names are not unique (mm/damon/core.c:
        __damon_start).
        """
        self.last_pid += 1
        self.processes.thread_started(self.last_pid, f"kdamond.{self.running}")
        self.running += 1
        return self.last_pid

    def end_thread(self, pid: int) -> None:
        """End it as a kdamond does that is switched off."""
        self.running -= 1
        self.processes.thread_ended(pid)

    def lookup(self, namespace: str = INIT) -> Lookup:
        """Return how names are resolved for somebody in this pid namespace."""

        def process(pid: int) -> Identity | None:
            return self.processes.identity(pid, namespace) if pid > 0 else None

        return Lookup(process, self.memcg_exists)

    def note(
        self,
        kind: EventKind,
        kdamond: int = -1,
        *,
        process: Identity | None = None,
        size_bytes: int = 0,
        hot_bytes: int = 0,
        detail: str = "",
    ) -> None:
        """Record an event at the present time."""
        pid, ticks = (process.pid, process.start_ticks) if process else (0, 0)
        self.events.append(
            Event(self.now_us, kind, kdamond, pid, ticks, size_bytes, hot_bytes, detail)
        )

    def panic(self, reason: str, kdamond: int = -1) -> None:
        """Die."""
        if self.panicked is None:
            self.panicked = reason
            self.note("panic", kdamond, detail=reason)

    def oops(self, reason: str, kdamond: int = -1) -> None:
        """Crash one writer, with the global lock held."""
        self.wedged = True
        self.note("oops", kdamond, detail=reason)
