"""`python -m soak`: see e2e/soak/soak.mk and docs/reliability.md."""

import argparse
import asyncio
import logging
import platform
import secrets
import shutil
import signal
import sys
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from soak.phases import KINDS, Soak
from soak.stage import Stage

ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    """Play the soak; 0 if everything held, 1 if not."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    names = [kind.__name__ for kind in KINDS]
    parser.add_argument("--kinds", nargs="+", choices=names, default=names, metavar="KIND",
                        help=f"only these faults: {', '.join(names)}")  # fmt: skip
    given = parser.parse_args()
    logs = ROOT / "out" / "soak" / str(given.seed)
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)
    log = _log(logs / "soak.log")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    console.print(f"seed {given.seed}, {given.minutes:g} minutes, logs in {logs}")
    return asyncio.run(_play(given, logs, log, console))


async def _play(
    given: argparse.Namespace, logs: Path, log: logging.Logger, console: Console
) -> int:
    kinds = tuple(kind for kind in KINDS if kind.__name__ in given.kinds)
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stage = Stage(ROOT, logs, log)
    async with stage:
        soak = Soak(stage, given.seed, kinds)
        await soak.play(given.minutes * 60)
    for problem in soak.meter.excess():
        stage.complain(problem)
    _close(soak, console)
    if not stage.problems:
        shutil.rmtree(stage.directory, ignore_errors=True)
    return 1 if stage.problems else 0


def _log(path: Path) -> logging.Logger:
    """Return a logger: every event goes into a file, progress to the terminal as well."""
    log = logging.getLogger("soak")
    log.setLevel(logging.INFO)
    for handler in (logging.FileHandler(path, encoding="utf-8"), logging.StreamHandler(sys.stdout)):
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
    log.handlers[-1].addFilter(lambda record: record.name == log.name)
    return log


def _close(soak: Soak, console: Console) -> None:
    tally, watches = soak.tally, soak.watches.values()
    phases = [phase for phase in tally.phases if phase.number]
    settled = sorted(phase.settled_s for phase in phases) or [0.0]
    equal, longest = sum(not phase.differences for phase in phases), f"{settled[-1]:.1f} s"
    held = Table(title="What was held", title_justify="left", box=box.SIMPLE_HEAD)
    held.add_column("what")
    held.add_column("figure", justify="right")
    for what, figure in (
        ("minutes", f"{soak.elapsed_s() / 60:.1f}"),
        ("phases, and how many ended in the equality", f"{len(phases)}, {equal}"),
        ("quiet until then: median, longest", f"{settled[len(settled) // 2]:.1f} s, {longest}"),
        ("pods that came, with real processes", f"{soak.churn.created}, {soak.churn.real}"),
        ("starts of operators and agents", str(sum(p.starts for p in soak.stage.product))),
        ("looks at the kernels", str(sum(w.looks for w in watches))),
        ("targets seen in them", str(sum(w.targets for w in watches))),
        ("writes to the kernels", str(sum(w.writes for w in watches))),
        ("reclaimed in the emulation", f"{sum(w.reclaimed_bytes for w in watches) >> 20} MiB"),
        ("what may never be, seen", str(sum(len(w.broken) for w in watches))),
        ("programs that ended by themselves", str(tally.ended)),
        ("operators that ended because they lost the lease", str(tally.lost_leases)),
        ("problems in all", str(len(soak.stage.problems))),
    ):  # fmt: skip
        held.add_row(what, figure)
    console.print(held)
    usage = Table(title="What the processes held", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("program", "lives", "longest", "MB: start, middle, end, most", "per hour",
                    "descriptors", "threads"):  # fmt: skip
        usage.add_column(heading, justify="left" if heading == "program" else "right")
    for life in soak.meter.longest():
        lives = [each for each in soak.meter.lives if each.name == life.name]
        points = (life.at(0), life.at(0.5), life.at(1), life.most())
        usage.add_row(
            life.name,
            str(len(lives)),
            f"{life.length_s / 60:.1f} min",
            " ".join(f"{p.rss_mb:.1f}" for p in points),
            f"{life.slope_mb_per_h():+.1f}",
            " ".join(str(p.descriptors) for p in points),
            " ".join(str(p.threads) for p in points),
        )
    console.print(usage)
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(tally.kinds.items()))
    console.print(f"faults: {kinds}", soft_wrap=True)
    console.print(f"machine: {platform.machine()}, {platform.release()}, Python "
                  f"{platform.python_version()}, by {soak.stage.transport}")  # fmt: skip
    for problem in soak.stage.problems:
        console.print(f"NOT HELD: {problem}", markup=False, soft_wrap=True)
    console.print("all held" if not soak.stage.problems else "NOT all held")


if __name__ == "__main__":
    sys.exit(main())
