"""damon-agent: puts the plan of its node into DAMON. One process per node.

On SIGTERM and SIGINT it lets every lane only watch, which keeps what is known of each page's age,
and ends. The kdamonds go on; the next start adopts them by the ownership record and wakes those
that are to reclaim. To switch DAMON off, set the tuning's mode to Off, or delete it, while the
agents run.
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from damon_agent import settings as setup
from damon_agent.bell import Bell
from damon_agent.clock import SystemClock
from damon_agent.cold.coldness import Coldness
from damon_agent.endpoint import Endpoint, probes
from damon_agent.errors import AgentError, StartError
from damon_agent.growth import Growing
from damon_agent.kernel.lanes.driver import LanesDriver
from damon_agent.kernel.ownership.record import StateDirectory
from damon_agent.kernel.report import Driver
from damon_agent.kernel.tree.commands import ThreadCommands
from damon_agent.kernel.tree.errors import RealSysfs
from damon_agent.kernel.tree.sysfs import DirectoryFiles, Files, Sysfs
from damon_agent.loop import Loop, Ticks
from damon_agent.node.exits import Exits
from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.meminfo import MemoryMeter
from damon_agent.node.procfs import Procfs
from damon_agent.node.reclaim_file import CgroupReclaimFile, ReclaimFile
from damon_agent.node.resolver import Resolver
from damon_agent.plans.client import Api, connect
from damon_agent.plans.heartbeat import Heartbeat, Pulse
from damon_agent.plans.plan import Latest
from damon_agent.plans.reporter import Reporter
from damon_agent.plans.store import PlanStore
from damon_agent.plans.watcher import Watcher
from damon_agent.reclaim.reclaiming import Reclaiming
from damon_agent.settings import Settings
from damon_contract import logs
from damon_contract.v1alpha1.node import DamonNodeStatus

_LOGGER: Final = logging.getLogger("damon_agent")
_PATIENCE_US: Final = 90_000_000
"""A loop without a tick for so long hangs; a tick is due every 30 s at the latest."""


@dataclass(frozen=True, slots=True)
class Roots:
    """DAMON's two trees: `damon` holds admin/, `module` the kernel modules' parameters."""

    damon: Files
    module: Files


@dataclass(frozen=True, slots=True)
class ApiPlans:
    """Both directions of the API as the loop sees them."""

    watcher: Watcher
    reporter: Reporter
    pulse: Pulse
    """Of the loop."""

    def latest(self) -> Latest:
        """See damon_agent.loop.Plans."""
        return self.watcher.latest()

    def report(self, uid: str, status: DamonNodeStatus) -> None:
        """See damon_agent.loop.Plans."""
        self.reporter.report(uid, status)


def main(
    arguments: Sequence[str] | None = None,
    *,
    files: Roots | None = None,
    reclaim_file: ReclaimFile | None = None,
) -> int:
    """Run until SIGTERM or SIGINT; return the exit status.

    `files` stands for --damon-root and --module-root, `reclaim_file` for memory.reclaim below
    --cgroup-root: the mock hands in its own.
    """
    settings = setup.parse(arguments, with_files=files is not None)
    logs.to_stderr(settings.log_level, logs.Formatter(settings.log_format))
    try:
        _serve(settings, files, reclaim_file)
    except (AgentError, RealSysfs) as error:
        _LOGGER.error("%s", error)  # noqa: TRY400 - the message says it all
        return 1
    return 0


def _serve(settings: Settings, files: Roots | None, reclaim_file: ReclaimFile | None) -> None:
    procfs = Procfs(settings.proc_root)
    _check_namespace(procfs, nested=settings.nested_pid_namespace)
    clock = SystemClock()
    exits = Exits(procfs.is_alive)
    bell = Bell([exits.fileno()])
    api = connect(
        settings.kubeconfig,
        settings.service_account,
        settings.node_name,
        settings.lease_namespace,
    )
    roots = files or _directories(settings)
    commands = ThreadCommands(Sysfs(roots.damon), wake=bell.ring)
    ticks = Ticks()
    with _plans(api, settings, clock, bell, ticks) as plans:
        loop = Loop(
            plans=plans,
            resolver=Resolver(
                procfs,
                Hierarchy(settings.cgroup_root) if settings.cgroup_root else None,
                own_pid=os.getpid(),
            ),
            memory=MemoryMeter(procfs),
            exits=exits,
            coldness=Coldness(procfs),
            growing=Growing(procfs.resident_bytes),
            driver=_driver(settings, roots, procfs, exits, commands),
            clock=clock,
            bell=bell,
            release=os.uname().release,
            ticks=ticks,
            reclaiming=_reclaiming(settings, procfs, clock, bell, reclaim_file),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.stop())
        with (
            _health(settings, plans, ticks),
            _metrics(settings, loop, plans, commands, clock),
        ):
            # What is imported by now stays for ever: no collection needs to look at it again.
            gc.collect()
            gc.freeze()
            _LOGGER.info("started node=%s driver=%s", settings.node_name, settings.driver)
            loop.run()
    _LOGGER.info("stopped; the kdamonds only watch until an agent is back")


def _reclaiming(
    settings: Settings, procfs: Procfs, clock: SystemClock, bell: Bell, file: ReclaimFile | None
) -> Reclaiming | None:
    """Return what writes memory.reclaim, if it is to be written.

    `file` stands for the one below --cgroup-root. A real cgroup tree needs the credentials of a
    pod, as a real sysfs does.
    """
    if not settings.memory_reclaim or settings.cgroup_root is None:
        return None
    if file is None:
        file = CgroupReclaimFile(settings.cgroup_root, allow_cgroupfs=settings.in_pod)

    def start(work: Callable[[], None]) -> None:
        def run() -> None:
            work()
            bell.ring()

        # Daemonic: a write that never returns must not keep the agent from exiting.
        threading.Thread(target=run, name="memory-reclaim", daemon=True).start()

    return Reclaiming(file, clock, procfs.page_bytes, procfs.anonymous_bytes, start)


def _check_namespace(procfs: Procfs, *, nested: bool) -> None:
    if not nested and not procfs.is_host_pid_namespace():
        raise StartError(
            "pid 2 is not kthreadd, so this is not the pid namespace of the host: DAMON would take "
            "the pids for those of other processes; run with hostPID: true"
        )


def _directories(settings: Settings) -> Roots:
    """Open the directories; a real sysfs only with the credentials of a pod."""
    if settings.damon_root is None:
        raise StartError("no directory for DAMON")
    return Roots(
        damon=DirectoryFiles(settings.damon_root, allow_sysfs=settings.in_pod),
        module=DirectoryFiles(
            settings.module_root,
            # Only read, unless DAMON_STAT may be switched off.
            allow_sysfs=settings.in_pod or not settings.disable_damon_stat,
        ),
    )


def _driver(
    settings: Settings, roots: Roots, procfs: Procfs, exits: Exits, commands: ThreadCommands
) -> Driver:
    damon = Sysfs(roots.damon)
    module = Sysfs(roots.module)
    state = StateDirectory(settings.state_dir, procfs.boot_id())
    if settings.driver == "lanes":
        return LanesDriver(
            damon,
            module,
            commands=commands,
            state=state,
            alive=exits.is_alive,
            spent_us=procfs.spent_us,
            stops_damon_stat=settings.disable_damon_stat,
        )
    # Late: almost no node needs its code.
    from damon_agent.kernel.native.driver import NativeDriver  # noqa: PLC0415

    return NativeDriver(
        damon,
        module,
        commands=commands,
        state=state,
        alive=exits.is_alive,
        spent_us=procfs.spent_us,
        comm=procfs.comm,
        host_pid_namespace=procfs.is_host_pid_namespace(),
        slots_per_class=settings.native_slots_per_class,
    )


@contextmanager
def _health(settings: Settings, plans: ApiPlans, ticks: Ticks) -> Iterator[None]:
    """Answer the kubelet's probes while the block runs, if there is a port for them.

    Live is about the loop alone: no restart helps against an API server that is away. Ready needs
    one answer of it, so that a release whose agents cannot reach it stops at the first nodes.
    """
    if not settings.health_port:
        yield
        return

    def ready() -> bool:
        answered = plans.latest().said is not None
        return answered and ticks.ended > ticks.failed and plans.pulse.beats()

    checks = {"/livez": plans.pulse.beats, "/readyz": ready}
    with _serving(Endpoint("health", settings.health_port, probes(checks))):
        yield


@contextmanager
def _metrics(
    settings: Settings, loop: Loop, plans: ApiPlans, commands: ThreadCommands, clock: SystemClock
) -> Iterator[None]:
    """Serve metrics while the block runs, if there is a port for them."""
    if not settings.metrics_port:
        yield
        return
    # Late: without a port, neither this nor what it stands on is in memory.
    from damon_agent import families, metrics  # noqa: PLC0415

    def look() -> families.Scrape:
        return families.Scrape(
            now_us=clock.now_us(),
            status=loop.status,
            latest=plans.latest(),
            cold_bytes=loop.cold_bytes,
            swap=loop.swap,
            returned_bytes=loop.returned_bytes,
            ticks=loop.ticks,
            commands=commands.outcomes,
            commands_under_way=commands.under_way,
            statuses_written=plans.reporter.written,
            statuses_failed=plans.reporter.failed,
            by_pod=settings.metrics_per_pod,
        )

    page, address = metrics.page(look), settings.metrics_address
    endpoint = Endpoint("metrics", settings.metrics_port, page, address)
    _LOGGER.info("metrics port=%d", endpoint.port)
    with _serving(endpoint):
        yield


@contextmanager
def _serving(endpoint: Endpoint) -> Iterator[None]:
    endpoint.start()
    try:
        yield
    finally:
        endpoint.stop()


@contextmanager
def _plans(
    api: Api, settings: Settings, clock: SystemClock, bell: Bell, ticks: Ticks
) -> Iterator[ApiPlans]:
    """Watch, report and renew the Lease in the background while the block runs."""
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"--state-dir {settings.state_dir}: {error}") from error
    pulse = Pulse(lambda: ticks.ended, clock, _PATIENCE_US)

    def works() -> bool:
        """Say whether there is an object to work for, and the loop does."""
        latest = watcher.latest()
        return (latest.plan or latest.invalid) is not None and pulse.beats()

    reporter = Reporter(api, clock, heartbeat=Heartbeat(api, clock, works=works))
    watcher = Watcher(
        api,
        PlanStore(settings.state_dir),
        clock,
        on_change=bell.ring,
        on_silenced=reporter.doubt,
        on_listed=reporter.compare,
    )
    watcher.start()
    reporter.start()
    try:
        yield ApiPlans(watcher, reporter, pulse)
    finally:
        watcher.stop()
        reporter.stop()
        api.close()


if __name__ == "__main__":
    sys.exit(main())
