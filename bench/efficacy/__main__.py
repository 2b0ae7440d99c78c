"""`python -m efficacy`: see bench/efficacy/efficacy.mk and docs/benchmark.md."""

import argparse
import logging
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from efficacy.overview import overview
from efficacy.page import NoRunsError, filled
from efficacy.record import Swap
from efficacy.results import Results, ResultsError
from efficacy.scenarios import SCENARIOS
from efficacy.schedule import CONTENDERS, missing, schedule
from efficacy.tables import grouped, tables

if TYPE_CHECKING:
    from efficacy.plots import Drawn


def main() -> int:
    """Do one of the verbs."""
    parser = argparse.ArgumentParser(prog="efficacy", description=__doc__)
    verbs = parser.add_subparsers(required=True)
    run = verbs.add_parser("run", help="play what is missing")
    run.add_argument("out", type=Path)
    run.add_argument("--kernel", default="6.12")
    run.add_argument(
        "--swap",
        choices=get_args(Swap),
        default="zram",
        help="disk: as slow as a cheap one of a cloud (default: %(default)s)",
    )
    run.add_argument("--repetitions", type=int, default=5)
    run.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    run.add_argument(
        "--contenders",
        nargs="+",
        choices=CONTENDERS,
        help="these in each scenario, instead of those that the scenario itself names",
    )
    run.add_argument(
        "--seconds",
        nargs="+",
        default=[],
        metavar="STEP=SECONDS",
        help="other lengths of steps, such as cold=45",
    )
    run.set_defaults(verb=_run)
    for name, verb, said in (
        ("tables", _tables, "write overview.md, tables.md and a plot of each scenario"),
        ("measure", _measure, "measure anew from what was recorded"),
    ):
        other = verbs.add_parser(name, help=said)
        other.add_argument("out", type=Path)
        other.set_defaults(verb=verb)
    picture = verbs.add_parser("picture", help="draw what matters most of a scenario")
    picture.add_argument("out", type=Path)
    picture.add_argument("scenario", choices=SCENARIOS)
    picture.add_argument("file", type=Path, help="written as .svg and as .png")
    picture.add_argument("--contenders", nargs="+", choices=CONTENDERS, help="instead of all")
    picture.set_defaults(verb=_picture)
    page = verbs.add_parser("page", help="write the tables of kept runs into a page")
    page.add_argument("kept", type=Path, help="a directory of directories of runs")
    page.add_argument("page", type=Path)
    page.set_defaults(verb=_page)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    try:
        given.verb(given)
    except (ResultsError, NoRunsError) as error:
        print(f"efficacy: {error}", file=sys.stderr)
        return 1
    return 0


def _run(given: argparse.Namespace) -> None:
    # What boots machines needs the whole harness; tables do not.
    from efficacy.campaign import Campaign  # noqa: PLC0415
    from efficacy.stage import Setup  # noqa: PLC0415

    seconds = {name: float(value) for name, _, value in (s.partition("=") for s in given.seconds)}
    setup = Setup.of(given.kernel, given.swap)
    results = Results(given.out)
    results.begin({"setup": asdict(setup), "seconds": seconds})

    # A plain kill is to end the machine as well, as ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    compared = {name: given.contenders or SCENARIOS[name].contenders for name in given.scenarios}
    given_up = Campaign(setup, results, seconds).play(
        lambda: missing(schedule(compared, given.repetitions), results.finished())
    )
    _tables(given)
    if given_up:
        raise ResultsError(f"left out, they always failed: {', '.join(map(str, given_up))}")


def _tables(given: argparse.Namespace) -> None:
    runs = list(Results(given.out).finished().values())
    (given.out / "tables.md").write_text(tables(runs))
    (given.out / "overview.md").write_text(overview(runs))
    # Runs are played and kept without what draws them.
    from efficacy.plots import plot  # noqa: PLC0415

    for scenario in sorted({run.facts.scenario for run in runs}):
        _write(given.out / scenario, plot(scenario, runs))
    print(f"{len(runs)} runs: {given.out / 'tables.md'}")


def _page(given: argparse.Namespace) -> None:
    kept = {each.name: Results(each).finished().values() for each in given.kept.iterdir()}
    given.page.write_text(filled(given.page.read_text(), kept))


def _picture(given: argparse.Namespace) -> None:
    from efficacy.plots import summary  # noqa: PLC0415

    runs = list(Results(given.out).finished().values())
    there = grouped(runs).get(given.scenario, {})
    wanted = given.contenders or list(there)
    if not there or set(wanted) - set(there):
        names = ", ".join(there) or "no contender"
        raise ResultsError(f"{given.out}: there are runs of {given.scenario} of: {names}")
    _write(given.file, summary(given.scenario, runs, wanted))


def _write(file: Path, drawn: "Drawn") -> None:
    for suffix, content in drawn.items():
        file.with_suffix(suffix).write_bytes(content)


def _measure(given: argparse.Namespace) -> None:
    print(f"{Results(given.out).measure()} runs measured")


if __name__ == "__main__":
    sys.exit(main())
