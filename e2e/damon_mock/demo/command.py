"""`damon-mock demo`: the main job on this machine, for everybody to see."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from damon_mock.damon import fuse, profiles

from . import play, steps
from .play import NodeOutcome, Outcome
from .programs import ProgramError
from .stage import Stage

_SHOWN_CHANGES: Final = 8
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - mkdtemp makes a private directory below it
_WIDTH: Final = 110
"""Where the output is no terminal that could say."""


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "demo",
        help="show the main job on this machine",
        description="Two simulated nodes with real processes as containers, an embedded Kubernetes "
        "API, a mock sysfs per node, the real operator and the real agents. Every step is compared "
        "with an expectation computed apart from them; the exit status is 0 only if all held.",
    )
    parser.add_argument(
        "--output",
        choices=("table", "json"),
        default="table",
        help="tables for people or one JSON document (default: %(default)s)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep it running at the end, and print a KUBECONFIG"
    )
    parser.add_argument(
        "--profile",
        choices=profiles.NAMES,
        default="7.2",
        help="kernel version the mock plays (default: %(default)s)",
    )
    parser.add_argument(
        "--transport",
        choices=("auto", "fuse", "socket"),
        default="auto",
        help="how agents reach the mock sysfs; auto mounts FUSE where it can (default: auto)",
    )
    parser.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        default=0,
        help="serve metrics on 127.0.0.1: the operator's on this port, the agents' on the next two "
        "(default: none)",
    )
    parser.add_argument(
        "--project",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="checkout with crds/ and examples/ (default: this directory)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Play it; 0 if all held, 1 if not, 2 if it cannot be played here."""
    project: Path = arguments.project.resolve()
    if not (project / "examples" / "tuning.yaml").exists():
        print(f"damon-mock demo: no examples/tuning.yaml in {project}", file=sys.stderr)
        return 2
    transport = arguments.transport
    if transport == "auto":
        transport = "socket" if fuse.missing() else "fuse"
    # In memory where there is such a place: the nodes' proc/ and cgroup/ change all the time.
    shared = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="damon-demo-", dir=shared))
    console = Console(stderr=arguments.output == "json", highlight=False)
    if not console.is_terminal:
        console = Console(stderr=console.stderr, highlight=False, width=_WIDTH)
    stage = Stage(
        directory,
        project,
        transport=transport,
        profile=arguments.profile,
        metrics_port=arguments.metrics_port,
    )
    console.print(
        f"two nodes, DAMON as of {arguments.profile} by {transport}, "
        "operator and agents as processes of their own\n"
    )
    held = False
    try:
        outcomes = asyncio.run(_play(stage, console, keep=arguments.keep))
        held = not any(outcome.problems for outcome in outcomes)
        if arguments.output == "json":
            print(json.dumps(play.as_data(outcomes), indent=2))
    except ProgramError as error:
        console.print(escape(str(error)))
    except KeyboardInterrupt:
        console.print("interrupted")
    if held:
        console.print("[bold green]all steps held[/]")
        shutil.rmtree(directory)
    else:
        console.print(f"[bold red]NOT all steps held[/]; logs are in {directory}")
    return 0 if held else 1


async def _play(stage: Stage, console: Console, *, keep: bool) -> list[Outcome]:
    async with stage:
        outcomes = await play.play(stage, lambda outcome: _print(console, outcome))
        if keep:
            await steps.apply_tuning(stage)
            console.print(
                "\nthe tuning is in force again; look around with\n"
                f"  export KUBECONFIG={stage.kubeconfig}\n"
                "  kubectl get dt,dn,pods -A\n"
                "  kubectl damon explain pod web -n shop    # needs .venv/bin on PATH\n"
                "Ctrl-C ends everything"
            )
            await _until_told()
    return outcomes


async def _until_told() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    await told.wait()


def _print(console: Console, outcome: Outcome) -> None:
    mark = "[green]held[/]" if not outcome.problems else "[red]NOT held[/]"
    console.print(f"[bold]{escape(outcome.title)}[/]  {outcome.milliseconds} ms  {mark}")
    for fact in outcome.facts:
        console.print(f"  {escape(fact)}", soft_wrap=True)
    for problem in outcome.problems:
        console.print(f"  [red]{escape(problem)}[/]", soft_wrap=True)
    for node in outcome.nodes:
        if node.changes or outcome.problems:
            _print_node(console, node)
        else:
            console.print(f"  {node.node}: nothing written")
    console.print()


def _print_node(console: Console, node: NodeOutcome) -> None:
    if node.expected:
        table = Table(title=node.node, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in ("pod", "source", "priority", "lane", "pids", "mark", "watermark", "action"):
            table.add_column(heading, overflow="fold")
        for row in play.rows(node):
            mark = "always on" if row["role"] == "eager" else "only watched"
            table.add_row(
                row["pod"],
                row["source"],
                str(row["priority"]),
                "-" if row["lane"] is None else str(row["lane"]),
                " ".join(map(str, row["pids"])),
                mark if row["mark"] is None else f"{row['mark']} permille",
                "-" if row["watermark"] is None else str(row["watermark"]),
                row["action"] or "-",
            )
        console.print(table)
    console.print(f"  {node.node}: {len(node.changes)} files of sysfs changed", end="")
    interesting = [line for line in node.changes if "pid_target" in line or "/mid:" in line]
    interesting += [line for line in node.changes if line.split(":")[0].endswith(("state",))]
    console.print(", such as" if interesting else "")
    for line in interesting[:_SHOWN_CHANGES]:
        console.print(f"    {escape(line)}")
