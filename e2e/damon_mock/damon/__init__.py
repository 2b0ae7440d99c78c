"""An emulator of DAMON's sysfs tree, faithful per kernel version, as far as an agent can tell.

A pure state machine in virtual time with two copies of everything: what sysfs shows, and what the
kernel runs. Usage in a test::

    processes = SimulatedProcesses()                 # pid 1 and kthreadd (pid 2) are there
    app = processes.spawn()                          # Identity(pid, start_ticks); exit, reap, kill
    memory = SimulatedMemory()                       # set_free_permille(), set_usage(app, Usage(…))
    memory.grow_cache(20 * MIB)                      # a second; it is not free, but available
    memory.page_out_us_per_mib = 200_000             # a page-out lasts, and nobody is answered
    emulator = Emulator("6.12", processes, memory)   # profiles.NAMES
    files = VirtualFiles(emulator, "damon")          # read, write, list; OSError with errno
    files.write("admin/kdamonds/nr_kdamonds", b"1")
    …
    emulator.advance(2_000_000)                      # virtual microseconds

- A write that waits for the kdamond (`commit`, `update_*`) lets virtual time pass until it returns.
  One that does not within `limit_us` raises WouldHangForever (with `.pending`); after `off`,
  `files.finish(pending)` returns. `blocks=True` waits for another thread to free it instead.
- `emulator.write()` itself returns a Pending that a later `advance()` resolves.
- `emulator.kdamonds[i].context` is the kernel copy (targets, regions, schemes), `snapshot()` the
  sysfs copy, `inherited()` the live slots that carry another process's ages, `panicked` the end.
- `emulator.events`: what the kernel did, with times ("reclaim" with pid and bytes, "stop", …).
  `emulator.log`: every write, its result, and whether it touched what another writer made.
- `emulator.faults.add(Fault("*/state", Fails(errno.EBUSY), times=5))`; effects: Fails, Hangs,
  StopsKdamond, Kills("before" | "after"). `Fault("*", Kills("after"), skip=k)` dies at write k.
  Killed is a BaseException. `emulator.present = False`: no DAMON; `read_only = True`: EROFS.
- Others: `emulator.write(path, data, Writer("foreign"))`, `emulator.modules.enabled["damon_stat"]`.
- Real time: `with Ticker(SharedEmulator(emulator)) as ticker: RealtimeFiles(ticker, "damon")`.

Not modelled: splitting and merging of regions by access (each process has three regions), quota
goals, time quotas beyond the first guess, scores, probes, migration.
"""

from .emulator import Emulator, Inherited
from .events import Event, Writer, WriteRecord
from .faults import Fails, Fault, Hangs, Killed, Kills, StopsKdamond
from .files import RealtimeFiles, SharedEmulator, Ticker, VirtualFiles, WouldHangForever
from .memory import MIB, MeminfoMemory, SimulatedMemory, Usage
from .processes import KTHREADD, HostProcesses, Identity, ProcessTable, SimulatedProcesses
from .requests import Pending

__all__ = [
    "KTHREADD",
    "MIB",
    "Emulator",
    "Event",
    "Fails",
    "Fault",
    "Hangs",
    "HostProcesses",
    "Identity",
    "Inherited",
    "Killed",
    "Kills",
    "MeminfoMemory",
    "Pending",
    "ProcessTable",
    "RealtimeFiles",
    "SharedEmulator",
    "SimulatedMemory",
    "SimulatedProcesses",
    "StopsKdamond",
    "Ticker",
    "Usage",
    "VirtualFiles",
    "WouldHangForever",
    "WriteRecord",
    "Writer",
]
