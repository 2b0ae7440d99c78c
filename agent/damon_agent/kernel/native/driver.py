"""The driver `native`: one kdamond with `target_priority`, on a kernel that has that file. Opt-in.

The kernel RFC that brings the file crashes when live targets share one priority, when it is started
twice in a boot, and when anybody writes to a kdamond it has already killed; it reads the numbers at
`on` only. This driver walks the one path that was seen to survive (docs/adr/0008): one kdamond, all
slots laid out in advance between two sentinels, `on` once and `off` once per boot. Between plans it
is parked, not switched off; mode Off is the end of it.
"""

from collections.abc import Callable
from dataclasses import replace

from damon_agent.facts import Process
from damon_agent.kernel.guard import Guard, Obstacle
from damon_agent.kernel.intent import Intent
from damon_agent.kernel.native import boot as notes
from damon_agent.kernel.native import classes
from damon_agent.kernel.native import report as reporting
from damon_agent.kernel.native.arming import Confirmation, lay_out
from damon_agent.kernel.native.boot import Boot, Phase, broken, refused, spent
from damon_agent.kernel.native.classes import Layout
from damon_agent.kernel.native.kdamond import KDAMOND, Crashed, NativeKdamond
from damon_agent.kernel.native.running import Running
from damon_agent.kernel.ownership.exclusive import refuse_exclusive_users
from damon_agent.kernel.ownership.ownership import Foreign, Ownership
from damon_agent.kernel.ownership.record import StateDirectory
from damon_agent.kernel.report import IDLE_US, Blocked, Report
from damon_agent.kernel.tree.commands import Commands, Keyword
from damon_agent.kernel.tree.errors import Busy, KernelError
from damon_agent.kernel.tree.features import CONTEXT, Features, probe
from damon_agent.kernel.tree.kdamond import POLL_US, Answer, Spent
from damon_agent.kernel.tree.sysfs import Sysfs, kdamond_path
from damon_contract.v1alpha1.node import NodeReason


class NativeDriver:
    """See the module; implements damon_agent.kernel.report.Driver."""

    def __init__(
        self,
        damon: Sysfs,
        module: Sysfs,
        *,
        commands: Commands,
        state: StateDirectory,
        alive: Callable[[Process], bool],
        spent_us: Spent,
        comm: Callable[[int], str | None],
        host_pid_namespace: bool,
        slots_per_class: int = classes.SLOTS_PER_CLASS,
    ) -> None:
        """`comm` names a thread of the host by pid, None if there is none.

        `host_pid_namespace`: whether pid 2 is kthreadd. `slots_per_class` counts until the kdamond
        is switched on; from then on the numbers that were noted then do.
        """
        self._damon = damon
        self._module = module
        self._state = state
        self._alive = alive
        self._host_pid_namespace = host_pid_namespace
        self._layout = classes.layout(slots_per_class)
        self._ownership = Ownership(damon, state, kdamonds=1, native=True)
        self._kernel = NativeKdamond(damon, commands, spent_us, comm)
        self._guard = Guard()
        self._boot: Boot | None = None
        self._is_on: bool | None = None
        self._switching_on = False
        self._confirmation: Confirmation | None = None
        self._running: Running | None = None
        self._features = Features()
        self._lacking: str | None = None
        """What this kernel does not have; it will not have it before the next boot."""
        self._at_rest = False
        self._next_us = 0

    def step(self, intent: Intent | None, now_us: int) -> Report:
        """See `Driver`. Without a plan nobody is in any slot, but the kdamond stays on (parked).

        Mode Off gives everything back, and with it the only chance of this boot. What stays until
        the machine restarts is one kdamond that is off: to allocate anew is what this kernel does
        not survive.
        """
        self._at_rest = False
        self._next_us = now_us + IDLE_US
        obstacle = self._guard.run(lambda: self._step(intent, now_us), now_us)
        return self._told(intent, obstacle)

    def _step(self, intent: Intent | None, now_us: int) -> None:
        try:
            self._advance(intent, now_us)
        except Crashed as crash:
            self._running = None
            self._note(Phase.BROKEN)
            raise broken(str(crash)) from crash
        except Busy:
            raise
        except KernelError:
            self._kernel.files.forget()
            raise

    # Phases

    def _advance(self, intent: Intent | None, now_us: int) -> None:
        is_off = intent is not None and intent.mode == "Off"
        plan = None if is_off else intent
        if self._is_waiting(now_us):
            return
        try:
            phase = self._look()
        except Foreign as foreign:
            self._running, self._is_on = None, False
            if plan is not None:
                raise refused(foreign.fault.message) from foreign
            self._at_rest = True
            return
        if phase is Phase.BROKEN:
            raise broken(f"kdamond {KDAMOND} read on, but its thread was gone")
        if self._ownership.record is None or not self._ownership.allocated:
            self._begin(phase, plan, now_us)
            return
        self._is_on = self._kernel.is_on
        if phase in {Phase.ARMED, Phase.RUNNING} and (is_off or not self._is_on):
            # The only one of this boot has ended: it never goes on again.
            phase = self._note(Phase.LEAVING if self._is_on else Phase.SPENT)
        match phase:
            case Phase.CLAIMED:
                self._claimed(plan, now_us)
            case Phase.ARMED:
                self._confirm(now_us)
            case Phase.RUNNING:
                self._run(plan, now_us)
            case _:
                self._leave(plan, now_us)

    def _is_waiting(self, now_us: int) -> bool:
        """Whether a command is under way; raise Blocked once it takes too long."""
        if not self._kernel.is_waiting:
            if self._switching_on:
                # DAMON was locked, so that nothing at all has happened: the note is taken back.
                self._note(Phase.CLAIMED)
                self._switching_on = False
            return False
        answer = self._kernel.take_answer()
        if answer is not None:
            self._switching_on = False
            self._answered(answer, now_us)
            return False
        self._next_us = now_us + POLL_US
        if self._kernel.hangs(now_us):
            raise Blocked(
                NodeReason.COMMIT_HUNG,
                f"a command to kdamond {KDAMOND} has not come back; it is waited for, because this "
                "kernel survives the `off` that would free it only once",
            )
        return True

    def _answered(self, answer: Answer, now_us: int) -> None:
        """Take in an answer; of `on` and `off` the state says what came."""
        if answer.keyword in {Keyword.ON, Keyword.OFF} or not answer.is_on:
            return
        if self._running is not None:
            self._running.answered(answer, now_us)
        elif self._confirmation is not None:
            phase = self._confirmation.answered(answer, now_us)
            if phase is not None:
                self._note(phase)

    def _look(self) -> Phase | None:
        """Return how far this boot has come; raise Blocked where DAMON is not ours to use."""
        record = self._ownership.adopt(idle=not self._is_on)
        if self._boot is None:
            self._boot = notes.parse(self._state.read(notes.FILE), self._state.boot_id)
        if self._boot is None and record is not None and record.native:
            # Without the note it is unknown whether it was on: it never goes on again.
            self._boot = Boot(Phase.LEAVING, self._layout)
        return None if self._boot is None else self._boot.phase

    @property
    def _numbers(self) -> Layout:
        """The layout that the kernel holds, or is going to."""
        if self._boot is None or self._boot.phase is Phase.CLAIMED:
            return self._layout
        return self._boot.layout

    def _note(self, phase: Phase) -> Phase:
        """Note a phase, before the write that makes it true; raise StateUnwritable."""
        boot = Boot(phase, self._numbers)
        if boot != self._boot:
            self._state.write(notes.FILE, notes.dump(boot, self._state.boot_id))
            self._boot = boot
        return phase

    def _begin(self, phase: Phase | None, plan: Intent | None, now_us: int) -> None:
        """Allocate the kdamond if arming it may follow."""
        self._running, self._is_on = None, False
        if phase not in {None, Phase.CLAIMED}:
            self._at_rest = plan is None
            if plan is not None:
                raise spent("somebody else has removed the kdamond that was on in this boot")
            return
        if plan is None:
            self._give_back()
            return
        self._refuse(plan)
        self._note(Phase.CLAIMED)
        self._ownership.take()
        self._next_us = now_us

    def _give_back(self) -> None:
        """Forget a kdamond that was never on."""
        if self._ownership.record is not None:
            self._ownership.give_back()
        self._state.remove(notes.FILE)
        self._boot, self._at_rest = None, True

    def _refuse(self, plan: Intent) -> None:
        if self._lacking is not None:
            raise refused(self._lacking)
        notes.refuse_beforehand(plan.memory, host_pid_namespace=self._host_pid_namespace)
        try:
            refuse_exclusive_users(self._module)
        except Blocked as blocked:
            raise refused(blocked.fault.message) from blocked

    def _claimed(self, plan: Intent | None, now_us: int) -> None:
        """Arm it, or give it back."""
        if self._is_on:
            raise refused("somebody else has switched the kdamond on that this agent allocated")
        if plan is None:
            self._give_back()
            return
        self._ownership.take()  # an agent that was killed may not have come to the signature
        self._lacking = self._missing()
        try:
            self._refuse(plan)
        except Blocked:
            self._give_back()
            raise
        # Before the first write: an agent killed in the middle leaves a tree without signature.
        self._ownership.note(KDAMOND, self._layout.vacant())
        lay_out(self._kernel, self._layout, self._features)
        self._note(Phase.ARMED)
        self._switching_on = True
        self._kernel.tell(Keyword.ON, now_us)
        self._next_us = now_us

    def _missing(self) -> str | None:
        """Look whether the kernel has what this driver needs; return what it has not."""
        try:
            self._features = probe(self._damon, 1)
        except Blocked as blocked:
            return blocked.fault.message
        return None if "target_priority" in self._features else "this kernel has no target_priority"

    def _confirm(self, now_us: int) -> None:
        if self._confirmation is None:
            self._confirmation = Confirmation(self._kernel, now_us)
        self._confirmation.ask(now_us)
        self._next_us = now_us if self._kernel.is_waiting else self._confirmation.next_us

    def _run(self, plan: Intent | None, now_us: int) -> None:
        if self._running is None:
            if not self._features.names:
                self._features = probe(self._damon, 1)
            self._running = Running(
                self._ownership, self._kernel, self._features, self._numbers, self._alive
            )
        running = self._running
        running.step(plan, now_us)
        self._at_rest = running.at_rest and not running.homeless and running.fault is None
        self._next_us = min(now_us + IDLE_US, max(now_us, running.next_us))
        if plan is not None:
            self._next_us = min(self._next_us, running.memory.due_us(plan))

    def _leave(self, plan: Intent | None, now_us: int) -> None:
        """Switch off if that has not been done, then take the numbers away. Never `on` again."""
        self._running = None
        if not self._is_on:
            self._note(Phase.SPENT)
            targets = f"{kdamond_path(KDAMOND)}/{CONTEXT}/targets/nr_targets"
            if self._damon.found(targets) not in {None, "0"}:
                self._damon.write(targets, "0")
            self._at_rest = True
        elif self._boot is not None and self._boot.phase is Phase.LEAVING:
            self._kernel.tell(Keyword.OFF, now_us)
            self._next_us = now_us
        else:
            raise Blocked(
                NodeReason.DAMON_BUSY,
                f"somebody else has switched kdamond {KDAMOND} on; it is left alone",
            )
        if plan is not None:
            raise spent("the kdamond was on and is switched off since the machine started")

    # Reporting

    def _told(self, intent: Intent | None, obstacle: Obstacle | None) -> Report:
        running = self._running
        faults = () if obstacle is None else obstacle.faults
        if running is not None:
            faults += reporting.full(running.homeless)
            faults += () if running.fault is None else (running.fault,)
        at_rest = applied = self._at_rest and obstacle is None
        if intent is not None and intent.mode != "Off":
            applied = running is not None and running.applied_plan == intent.plan
        is_unknown = self._boot is None and self._ownership.may_run
        report = Report(
            driver_name="native",
            features=tuple(sorted(self._features.names)),
            faults=faults,
            applied=applied and not faults,
            at_rest=at_rest,
            reclaims=is_unknown or self._may_reclaim,
            is_awake=self._may_reclaim,
            next_step_us=self._next_us if obstacle is None else obstacle.retry_us,
        )
        if running is None or (rungs := running.rungs) is None:
            return report
        return replace(
            report,
            lanes=reporting.lanes(running.slots, rungs, running.counted_bytes),
            placed=reporting.placed(running.slots, rungs),
        )

    @property
    def _may_reclaim(self) -> bool:
        """Whether a scheme of ours may act, or it is unknown; before they are in, nobody is."""
        if self._boot is None or self._boot.phase not in {Phase.RUNNING, Phase.LEAVING}:
            return False
        return self._is_on is not False and (self._running is None or self._running.may_reclaim)
