"""`damon-mock conform`: play conformance scripts, and write or compare their transcripts.

Standard library only: in a guest it runs as `python3 -m damon_mock.conformance`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from damon_mock.damon import profiles

from . import goldens, playing, transcripts
from .emulated import EmulatedMachine
from .guard import RealKernelError
from .language import Script
from .machine import Machine, MachineError
from .parsing import ScriptError
from .transcripts import Transcript
from .tree import TreeMachine


def add(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser(
        "conform",
        help="play conformance scripts on the emulator or on a real tree",
        description="Play conformance scripts and print their transcripts as JSON. On a real tree "
        "everything of DAMON is switched off before, between and after them.",
    )
    arguments(parser)
    parser.set_defaults(run=run)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--profile", choices=profiles.NAMES, help="play on this emulator")
    where.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        default=os.environ.get("DAMON_ROOT"),
        help="play on this tree, which holds `admin` (default: $DAMON_ROOT). A real kernel's is "
        "refused unless its command line has the word damon_mock.guest",
    )
    parser.add_argument(
        "--modules", type=Path, metavar="DIR", help="DAMON's modules, as in /sys/module"
    )
    parser.add_argument(
        "--gauge",
        type=Path,
        metavar="FILE",
        help="the file given to `damon-mock sysfs --meminfo`: squeezing memory writes it. A "
        "kernel's own memory is squeezed by using it up",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="nobody has used DAMON on --root since the boot: the first case that needs a boot of "
        "its own may be played",
    )
    parser.add_argument(
        "--case", action="append", metavar="TITLE", help="play only the cases with these titles"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the transcripts here")
    parser.add_argument(
        "--compare", type=Path, metavar="DIR", help="compare with the goldens in this directory"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="with --profile: write the goldens of that profile into this directory, from "
        "--recorded or, without it, as the emulator describes the kernel",
    )
    parser.add_argument(
        "--recorded",
        type=Path,
        metavar="FILE",
        help="what --output wrote on a real kernel; cases it must not play are described",
    )
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help="names, or files *.txt")


def run(parsed: argparse.Namespace) -> int:
    """Play; 1 if a golden differs, 2 if it cannot be played here."""
    try:
        if parsed.record is not None:
            _record(parsed)
            return 0
        machine = _machine(parsed)
        scripts = [
            _chosen(goldens.script(name), parsed.case) for name in parsed.scripts or goldens.names()
        ]
        differing = _play(scripts, machine, parsed)
    except (RealKernelError, MachineError, ScriptError, OSError) as error:
        print(f"damon-mock conform: {error}", file=sys.stderr)
        return 2
    return 1 if differing else 0


def main(given: Sequence[str] | None = None) -> int:
    """Be a program of its own."""
    parser = argparse.ArgumentParser(prog="conform", description=__doc__)
    arguments(parser)
    return run(parser.parse_args(given))


def _machine(parsed: argparse.Namespace) -> Machine:
    if parsed.profile is not None:
        return EmulatedMachine(parsed.profile)
    if parsed.root is None:
        raise MachineError("say where: --profile NAME or --root DIR")
    return TreeMachine(Path(parsed.root), parsed.modules, gauge=parsed.gauge, fresh=parsed.fresh)


def _record(parsed: argparse.Namespace) -> None:
    if parsed.profile is None:
        raise MachineError("--record needs --profile")
    if parsed.recorded is None:
        for name in parsed.scripts or goldens.names():
            goldens.save(parsed.record, goldens.described(parsed.profile, name))
        return
    for recorded in transcripts.all_from_text(parsed.recorded.read_text("utf-8")):
        if not parsed.scripts or recorded.script in parsed.scripts:
            goldens.save(parsed.record, goldens.completed(recorded, parsed.profile))


def _compared(played: Transcript, parsed: argparse.Namespace) -> str:
    golden = goldens.load(parsed.compare, played.script)
    avoided = {case.title: case.skipped for case in played.cases if case.avoided}
    for title, why in avoided.items():
        print(f"{played.script}: not compared: {title}: {why}")
    chosen = {case.title for case in played.cases}
    others = {case.title for case in golden.cases if parsed.case} - chosen
    return transcripts.difference(golden, played, without={*avoided, *others})


def _chosen(script: Script, titles: list[str] | None) -> Script:
    cases = tuple(case for case in script.cases if titles is None or case.title in titles)
    return replace(script, cases=cases)


def _play(scripts: list[Script], machine: Machine, parsed: argparse.Namespace) -> bool:
    features = playing.probe(machine)
    texts, differing = [], False
    for script in scripts:
        source = "recorded" if machine.real else "played"
        print(f"playing {script.name}", file=sys.stderr, flush=True)
        played = playing.play(script, machine, features, source)
        texts.append(transcripts.to_text(played))
        if parsed.compare is not None:
            found = _compared(played, parsed)
            print(f"{script.name}: {'differs' if found else 'agrees'}\n{found}".rstrip())
            differing = differing or bool(found)
    whole = "[\n" + ",\n".join(text.rstrip("\n") for text in texts) + "\n]\n"
    if parsed.output is not None:
        parsed.output.write_text(whole, "utf-8")
    elif parsed.compare is None:
        print(whole, end="")
    return differing
