"""The driver `native`: one kdamond with `target_priority`, on a kernel that has that file. Opt-in.

The kernel RFC that brings the file crashes when live targets share one priority, when it is started
twice in a boot, and when anybody writes to a kdamond it has already killed; it reads the numbers at
`on` only. This driver walks the one path that was seen to survive (docs/adr/0008): one kdamond, all
slots laid out in advance between two sentinels, `on` once and `off` once per boot. Between plans it
is parked, not switched off; mode Off is the end of it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from damon_agent.facts import Process
from damon_agent.kernel import classes
from damon_agent.kernel.backoff import Backoff
from damon_agent.kernel.claim import Claim, probe
from damon_agent.kernel.classes import Layout
from damon_agent.kernel.commands import Commands, Keyword
from damon_agent.kernel.errors import Busy, KernelError, StateUnwritable
from damon_agent.kernel.exclusive import refuse_exclusive_users
from damon_agent.kernel.features import CONTEXT, Features
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.native import report as reporting
from damon_agent.kernel.native.arming import Arming
from damon_agent.kernel.native.kdamond import KDAMOND, POLL_US, Crashed, NativeKdamond
from damon_agent.kernel.native.phase import Phase, broken, refuse_beforehand, refused, spent
from damon_agent.kernel.native.running import Running
from damon_agent.kernel.record import Record, RecordStore
from damon_agent.kernel.report import Fault, Report, Withheld
from damon_agent.kernel.sysfs import Sysfs
from damon_contract.v1alpha1.node import NodeReason

RETRY_US: Final = 1_000_000
IDLE_US: Final = 5_000_000
LOCKED_US: Final = 5_000_000
"""How long DAMON's lock may be held by others before it is worth a word."""


class NativeDriver:
    """See the module; implements damon_agent.kernel.report.Driver."""

    def __init__(
        self,
        damon: Sysfs,
        module: Sysfs,
        *,
        commands: Commands,
        store: RecordStore,
        alive: Callable[[Process], bool],
        comm: Callable[[int], str | None],
        host_pid_namespace: bool,
        slots_per_class: int = classes.SLOTS_PER_CLASS,
    ) -> None:
        """`comm` names a thread of the host by pid, None if there is none.

        `host_pid_namespace`: whether pid 2 is kthreadd. `slots_per_class` counts until the kdamond
        is switched on; from then on the record's numbers do.
        """
        self._damon = damon
        self._module = module
        self._alive = alive
        self._host_pid_namespace = host_pid_namespace
        self._slots_per_class = slots_per_class
        self._claim = Claim(damon, module, store, driver="native", kdamonds=1)
        self._kdamond = NativeKdamond(damon, commands, comm)
        self._arming = Arming(self._claim, self._kdamond)
        self._running: Running | None = None
        self._features = Features()
        self._features_of = 0
        self._lacking: str | None = None
        """What this kernel does not have; it will not have it before the next boot."""
        self._busy = Backoff(5_000, 50_000)
        self._settled = False
        self._next_us = 0

    def step(self, intent: Intent | None, now_us: int) -> Report:
        """See `Driver`. Without a plan nobody is in any slot, but the kdamond stays on (parked).

        Mode Off gives everything back, as said, and with it the only chance of this boot.
        """
        if intent is not None and intent.mode == "Off":
            return self.release(now_us)
        return self._guarded(lambda: self._advance(intent, now_us), now_us)

    def release(self, now_us: int) -> Report:
        """Give everything back, for good: `off`, once per boot. To be repeated until settled.

        What stays until the machine restarts is one empty kdamond directory and the record: to
        allocate kdamonds anew is what this kernel does not survive.
        """
        return self._guarded(lambda: self._leave(now_us), now_us)

    def _guarded(self, advance: Callable[[], None], now_us: int) -> Report:
        """Turn what can go wrong into a fault and a time to try again."""
        self._settled = False
        self._next_us = now_us + IDLE_US
        faults: tuple[Fault, ...] = ()
        if self._busy.holds(now_us):
            self._next_us = self._busy.until_us
            return self._report(self._lock_fault(now_us))
        try:
            advance()
        except Busy:
            self._busy.lengthen(now_us)
            self._next_us = self._busy.until_us
            return self._report(self._lock_fault(now_us))
        except Crashed as crash:
            faults = (self._mark_broken(crash),)
        except Withheld as withheld:
            faults = (withheld.fault,)
        except StateUnwritable as error:
            message = f"{error}; nothing is changed until it works"
            faults = (Fault(NodeReason.STATE_UNWRITABLE, message),)
        except KernelError as error:
            self._kdamond.files.forget()
            faults = (Fault(error.reason, str(error)),)
        self._busy.clear()
        if faults:
            self._next_us = min(self._next_us, now_us + RETRY_US)
        return self._report(faults)

    def _lock_fault(self, now_us: int) -> tuple[Fault, ...]:
        if now_us - self._busy.since_us <= LOCKED_US:
            return ()
        message = "something else keeps DAMON's sysfs locked"
        return (Fault(NodeReason.SYSFS_LOCKED, message),)

    def _mark_broken(self, crash: Crashed) -> Fault:
        self._running = None
        record = self._claim.record
        if record is not None:
            try:
                self._claim.keep(replace(record, phase=Phase.BROKEN.value))
            except StateUnwritable as error:
                return broken(f"{crash} (and {error})").fault
        return broken(str(crash)).fault

    # Phases

    def _advance(self, intent: Intent | None, now_us: int) -> None:
        if self._is_waiting(now_us):
            return
        record = self._adopt(intent)
        if record is None:
            self._running = None
            if intent is None:
                self._settled = True
            else:
                self._begin(intent, now_us)
            return
        match Phase(record.phase):
            case Phase.CLAIMED:
                self._claimed(record, intent, now_us)
            case Phase.ARMED | Phase.RUNNING:
                self._on(record, intent, now_us)
            case Phase.LEAVING | Phase.SPENT:
                self._go(record, now_us)
                if intent is not None:
                    raise spent("the kdamond was on and is switched off since the machine started")
            case Phase.BROKEN:
                raise broken(f"kdamond {KDAMOND} read on, but its thread was gone")

    def _is_waiting(self, now_us: int) -> bool:
        """Whether a command is under way; raise Withheld once it takes too long."""
        if self._kdamond.collect(now_us):
            return False
        self._next_us = now_us + POLL_US
        keyword = self._kdamond.hung(now_us)
        if keyword is not None:
            raise Withheld(
                NodeReason.COMMIT_HUNG,
                f"{keyword} has not come back; it is waited for, because this kernel survives the "
                "`off` that would free it only once",
            )
        return True

    def _adopt(self, intent: Intent | None) -> Record | None:
        """Return the record of our kdamond; None if there is none, or it is no concern of ours."""
        try:
            record = self._claim.adopt()
        except Withheld as withheld:
            if intent is None:
                return None
            if withheld.fault.reason is NodeReason.DAMON_BUSY:
                raise refused(withheld.fault.message) from withheld
            raise
        if record is None or record.driver == "native":
            return record
        if intent is None:
            return None
        if record.armed:
            raise spent("the driver lanes has taken over since the kernel's tuner was started")
        raise refused(
            "the driver lanes has run kdamonds since the machine started; reboot the node"
        )

    def _begin(self, intent: Intent, now_us: int) -> None:
        """Allocate the kdamond if arming it may follow."""
        self._refuse(intent)
        self._claim.take()
        self._next_us = now_us

    def _refuse(self, intent: Intent) -> None:
        if self._lacking is not None:
            raise refused(self._lacking)
        refuse_beforehand(intent.memory, host_pid_namespace=self._host_pid_namespace)
        try:
            refuse_exclusive_users(self._module)
        except Withheld as withheld:
            raise refused(withheld.fault.message) from withheld

    def _claimed(self, record: Record, intent: Intent | None, now_us: int) -> None:
        """Arm it, or give it back."""
        if self._kdamond.look() == "on":
            raise refused("somebody else has switched the kdamond on that this agent allocated")
        if intent is None:
            self._claim.give_back()
            self._settled = True
            return
        self._lacking = self._missing()
        try:
            self._refuse(intent)
        except Withheld:
            self._claim.give_back()
            raise
        self._arming.arm(record, classes.layout(self._slots_per_class), self._features, now_us)
        self._next_us = now_us

    def _on(self, record: Record, intent: Intent | None, now_us: int) -> None:
        """Go on with a kdamond that is on, or should be."""
        if self._kdamond.look() == "off":
            # The only one of this boot has ended: it never goes on again.
            self._claim.keep(replace(record, phase=Phase.SPENT.value))
            self._next_us = now_us
        elif record.phase == Phase.ARMED:
            self._arming.confirm(record, now_us)
            self._next_us = max(now_us + POLL_US, self._arming.next_us)
        else:
            self._run(record, intent, now_us)

    def _run(self, record: Record, intent: Intent | None, now_us: int) -> None:
        if self._running is None:
            self._probe()
            self._running = Running(
                self._claim,
                self._kdamond,
                self._features,
                Layout(record.target_priorities),
                self._alive,
            )
        running = self._running
        running.step(intent, now_us)
        self._settled = running.at_rest and not running.homeless and running.fault is None
        latest_us = now_us + (IDLE_US if intent is None else min(IDLE_US, intent.interval_us))
        self._next_us = min(latest_us, max(now_us, running.next_us))
        if not self._kdamond.idle:
            self._next_us = now_us + POLL_US

    def _leave(self, now_us: int) -> None:
        """Take one step out."""
        if self._is_waiting(now_us):
            return
        record = self._adopt(None)
        if record is None:
            self._settled = True
            return
        match Phase(record.phase):
            case Phase.CLAIMED:
                self._claimed(record, None, now_us)
            case Phase.ARMED | Phase.RUNNING:
                self._running = None
                self._claim.keep(replace(record, phase=Phase.LEAVING.value))
                self._next_us = now_us
            case Phase.LEAVING | Phase.SPENT:
                self._go(record, now_us)
            case Phase.BROKEN:
                raise broken(f"kdamond {KDAMOND} read on, but its thread was gone")

    def _go(self, record: Record, now_us: int) -> None:
        """Switch off if that has not been done, then take the numbers away. Never `on` again."""
        self._running = None
        phase = Phase(record.phase)
        if self._kdamond.look() == "on":
            if phase is Phase.SPENT:
                raise Withheld(
                    NodeReason.DAMON_BUSY,
                    f"somebody else has switched kdamond {KDAMOND} on; it is left alone",
                )
            self._next_us = now_us + POLL_US
            self._kdamond.start(Keyword.OFF, now_us, _switched_off)
            return
        if phase is Phase.LEAVING:
            record = replace(record, phase=Phase.SPENT.value)
            self._claim.keep(record)
        for count in ("schemes/nr_schemes", "targets/nr_targets"):
            self._kdamond.clear(f"{CONTEXT}/{count}")
        self._settled = True

    def _missing(self) -> str | None:
        """Look whether the kernel has what this driver needs; return what it has not."""
        try:
            self._probe()
        except Withheld as withheld:
            return withheld.fault.message
        if "target_priority" not in self._features:
            return "this kernel has no target_priority"
        return None

    def _probe(self) -> None:
        """Look once per claim what the kernel offers."""
        if self._features_of != self._claim.epoch:
            self._features = probe(self._damon, 1, lambda _: True)
            self._features_of = self._claim.epoch

    # Reporting

    def _report(self, faults: tuple[Fault, ...]) -> Report:
        running = self._running
        shown = None
        if running is not None:
            if running.rungs is not None:
                shown = reporting.Running(running.slots, running.rungs, running.counted_bytes)
                faults += reporting.full(running.homeless)
            if running.fault is not None:
                faults += (running.fault,)
        return Report(
            driver_name="native",
            features=tuple(sorted(self._features.names)),
            lanes=() if shown is None else reporting.lanes(shown),
            placed={} if shown is None else reporting.placed(shown),
            faults=faults,
            settled=self._settled and not faults,
            next_step_us=self._next_us,
        )


def _switched_off(error: KernelError | None, _now_us: int) -> None:
    """Retry when the lock was held; any other error means that it has ended by itself."""
    if isinstance(error, Busy):
        raise error
