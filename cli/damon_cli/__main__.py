"""The command line. What a command needs is imported when it runs: that is most of a start."""

import os
import sys
import traceback
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from damon_cli import options, streams
from damon_cli.errors import CliError, Exit
from damon_cli.output import say

app = typer.Typer(
    name="kubectl damon",
    help="Why a pod has its priority, what is reclaimed from it, and whether all is well.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Word = TypeVar("_Word", bound=StrEnum)

_WAIT = "2m"
"""What --wait without a time means."""


@app.callback()
def _every(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from.", envvar="DAMON_DEBUG")
    ] = False,
) -> None:
    """Why a pod has its priority, what is reclaimed from it, and whether all is well."""
    if debug:
        os.environ["DAMON_DEBUG"] = "1"


@app.command(epilog="Example: kubectl damon status --wait=5m")
def status(
    *,
    wait: Annotated[
        str,
        typer.Option(
            metavar="[=TIME]",
            help=f"Wait until all is ready, {_WAIT} at most; --wait=5m for another time.",
        ),
    ] = "",
    output: options.Output = options.Format.TABLE,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show the tunings, the nodes by reason, and what each unmet condition wants done.

    Ends with 0 if all is ready, 1 if not.
    """
    from damon_cli.status import command

    wait_s = _seconds(wait) if wait else 0.0
    with options.client(kubeconfig, context) as client:
        raise typer.Exit(command.run(client, output, wait_s))


@app.command(
    epilog="Examples: kubectl damon explain pod web-0 -n shop; kubectl damon explain deploy/web"
)
def explain(
    *,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] NAME",
            help="A pod, or a workload as deploy/NAME (also sts, ds, rs, job): each of its pods.",
        ),
    ],
    output: options.Output = options.Format.TABLE,
    namespace: options.Namespace = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show why a pod has its priority, where it stands, and what is reclaimed from it."""
    from damon_cli.explain import command

    if len(names) > 2:
        raise typer.BadParameter("name one pod or workload: KIND NAME, KIND/NAME or NAME")
    with options.client(kubeconfig, context, namespace) as client:
        raise typer.Exit(command.run(client, names, output))


@app.command(
    epilog="Examples: kubectl damon plan -f tuning.yaml; kubectl damon plan --node worker-1"
)
def plan(
    *,
    file: Annotated[
        str,
        typer.Option(
            "--filename", "-f", metavar="FILE", help="DamonTunings, - for standard input."
        ),
    ] = "",
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this node, with its ladder; may be repeated."),
    ] = None,
    output: options.Output = options.Format.TABLE,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what a DamonTuning would change before it is applied; without one, what stands.

    Computed by the operator's own planner. Ends with 1 if the tuning would be refused.
    """
    from damon_cli.plan import command

    with options.client(kubeconfig, context) as client:
        raise typer.Exit(command.run(client, file, node or [], output))


@app.command(
    epilog="Examples: kubectl damon top -g workload -n shop; kubectl damon top --sort given-up"
)
def top(
    *,
    group: Annotated[
        str,
        typer.Option(
            "--group",
            "-g",
            metavar="WHAT",
            help="A row per namespace, workload, node or priority, instead of per pod.",
        ),
    ] = "pod",
    sort: Annotated[
        str,
        typer.Option(
            metavar="BY",
            help="cold, given-up, came-back, cache-gone, working-set, priority or name.",
        ),
    ] = "cold",
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again as it changes.")
    ] = False,
    selector: Annotated[
        str, typer.Option("--selector", "-l", metavar="LABELS", help="Only pods with these labels.")
    ] = "",
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this node; may be repeated."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="ROWS", help="Rows of the table; 0: all.")
    ] = 50,
    output: options.Output = options.Format.TABLE,
    namespace: options.Namespace = "",
    all_namespaces: options.AllNamespaces = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show how much memory of which pods is cold, is out in swap, and came back from there.

    Of all namespaces, unless -n names one.
    """
    from damon_cli.top import command
    from damon_cli.top.picture import TopOptions
    from damon_cli.top.usage import Grouping, Order

    asked = TopOptions(
        grouping=_one_of(Grouping, group, "-g"),
        order=_one_of(Order, sort, "--sort"),
        namespace="" if all_namespaces else namespace,
        labels=selector,
        nodes=tuple(node or ()),
        limit=limit,
    )
    with options.client(kubeconfig, context, namespace) as client:
        raise typer.Exit(command.run(client, asked, output, watch=watch))


@app.command(epilog="Examples: kubectl damon doctor; kubectl damon doctor --probe --node worker-1")
def doctor(
    *,
    node: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this node; may be repeated.")
    ] = None,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Read each --node by a pod on it; it needs no installation."),
    ] = False,
    image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Image of that pod; else busybox.")
    ] = "",
    print_probe: Annotated[
        bool, typer.Option("--print-probe", help="Print the script that reads a node, and end.")
    ] = False,
    file: Annotated[
        str,
        typer.Option("--filename", "-f", metavar="FILE", help="What it printed; - for stdin."),
    ] = "",
    output: options.Output = options.Format.TABLE,
    namespace: options.Namespace = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what each node has that tuning needs, what is in its way, and the remedy.

    Ends with 0 if nothing prevents tuning, 1 if something does or if that is not known.
    """
    from damon_cli.doctor import command, probe_pod

    if print_probe:
        print(probe_pod.script(), end="")
        raise typer.Exit
    if file:
        raise typer.Exit(command.read(file, next(iter(node or ()), ""), output))
    asked = command.DoctorOptions(tuple(node or ()), probe, image)
    with options.client(kubeconfig, context, namespace) as client:
        raise typer.Exit(command.run(client, asked, output))


@app.command(epilog="Example: kubectl damon sysdump -f dump.zip")
def sysdump(
    *,
    file: Annotated[
        str,
        typer.Option(
            "--filename", "-f", metavar="FILE", help="The zip; else damon-sysdump-TIME.zip here."
        ),
    ] = "",
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this node and its agent; may be repeated."),
    ] = None,
    namespace: Annotated[
        str,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="The installation's; else it is looked for."
        ),
    ] = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Write objects, logs and metrics of the installation to a zip; no secrets, no environment.

    What cannot be had is named, and ends it only if nothing can.
    """
    from damon_cli.sysdump import command

    with options.client(kubeconfig, context) as client:
        raise typer.Exit(command.run(client, file, namespace, tuple(node or ())))


@app.command(epilog="Example: kubectl damon report -o html > report.html")
def report(
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FORM",
            help="table, html (one file with plots), svg (the plots), md, csv, json or yaml.",
        ),
    ] = "table",
    limit: Annotated[
        int, typer.Option(min=0, metavar="ROWS", help="Workloads in a table; 0: all.")
    ] = 15,
    namespace: options.Namespace = "",
    all_namespaces: options.AllNamespaces = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Show what is cold, by namespace and workload, against requests and limits.

    Of all namespaces, unless -n names one. It says what it cannot know.
    """
    from damon_cli.report import command

    form = _one_of(command.Form, output, "-o")
    where = "" if all_namespaces else namespace
    with options.client(kubeconfig, context, namespace) as client:
        raise typer.Exit(command.run(client, form, where, limit))


@app.command(epilog="Examples: kubectl damon check; kubectl damon check --node worker-1 --keep")
def check(
    *,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Check this node; may be repeated."),
    ] = None,
    all_nodes: Annotated[
        bool, typer.Option("--all-nodes", help="All nodes, not one per tuning and three at most.")
    ] = False,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="How long to wait for all of it.")
    ] = "5m",
    image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Image with python3; else the agents' own.")
    ] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave namespace and pods.")] = False,
    sysdump_on_failure: Annotated[
        bool, typer.Option("--sysdump-on-failure", help="Write a sysdump here if it fails.")
    ] = False,
    output: options.Output = options.Format.TABLE,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Check with two pods of its own that cold memory goes and hot memory stays, or say why not.

    They hold 80 MiB each, in a namespace that is deleted at the end. Ends with 0 if it is as it
    should be, 1 if not.
    """
    from damon_cli.check import command

    asked = command.CheckOptions(
        nodes=tuple(node or ()),
        every=all_nodes,
        timeout_s=_seconds(timeout),
        image=image,
        keep=keep,
        sysdump=sysdump_on_failure,
    )
    with options.client(kubeconfig, context) as client:
        raise typer.Exit(command.run(client, asked, output))


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit status, and never let a traceback out unasked."""
    streams.prepare()
    given = sys.argv[1:] if arguments is None else arguments
    # Like kubectl's own: a bare --wait takes no value.
    given = [f"--wait={_WAIT}" if word == "--wait" else word for word in given]
    try:
        ended = int(app(given, prog_name="kubectl damon", standalone_mode=False) or 0)
        sys.stdout.flush()
        return ended  # noqa: TRY300 - what is not written is an error as well
    except CliError as error:
        say(f"error: {error.message}")
        if error.remedy:
            say(f"  -> {error.remedy}")
        _details()
        return error.exit
    except (typer.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return _unexpected(error)


def _unexpected(error: Exception) -> int:
    show = getattr(error, "show", None)  # click's own: what is wrong with the command line
    if show is not None:
        show()
        return int(getattr(error, "exit_code", Exit.USAGE))
    say(f"error: a defect of kubectl damon: {type(error).__name__}: {error}")
    if not _details():
        say("  -> `kubectl damon --debug ...` says where; please report it")
    return Exit.DEFECT


def _details() -> bool:
    """Print the traceback if it was asked for; say whether it was."""
    if not os.environ.get("DAMON_DEBUG"):
        return False
    traceback.print_exc()
    return True


def _seconds(text: str) -> float:
    from damon_contract.quantities import microseconds

    try:
        return microseconds(text) / 1e6
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _one_of(words: type[_Word], text: str, option: str) -> _Word:
    try:
        return words(text)
    except ValueError:
        known = ", ".join(words)
        raise typer.BadParameter(f"{text!r} is none of {known}", param_hint=option) from None


if __name__ == "__main__":
    sys.exit(main())
