"""Asks for what `doctor` judges: the API, and where it is told to the node itself."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from damon_cli import output, signals
from damon_cli.client import DAMON_NODES, Client, Raw, object_path, of_namespace
from damon_cli.doctor import probe_pod, probed, reported
from damon_cli.doctor.facts import NodeFacts
from damon_cli.doctor.findings import Diagnosis, diagnosis
from damon_cli.errors import Exit, ForbiddenError, NotInstalledError, UsageError
from damon_cli.options import Format

_NODES: Final = "/api/v1/nodes"
_THREADS: Final = 4
_DAMON_NODE_PAGE: Final = 100
_MOST_BYTES: Final = 4 * 2**20


@dataclass(frozen=True)
class DoctorOptions:
    """What the command line asks for."""

    nodes: tuple[str, ...] = ()
    """Empty: all."""
    probe: bool = False
    """Whether a pod is to read each node itself."""
    image: str = ""
    """Of that pod."""


def run(client: Client, asked: DoctorOptions, form: Format) -> Exit:
    """Print what is found of each node; NOT_MET unless all of them can be tuned."""
    if not asked.probe:
        return _told(tuple(_reported(client, asked.nodes)), form)
    if not asked.nodes:
        raise UsageError("--probe starts a pod on each node", "name the nodes with --node")
    told = []
    with signals.interrupting():
        for name, facts in _by_name(client, asked.nodes):
            if facts.linux is False:
                told.append(diagnosis(name, facts))
                continue
            output.say(f"reading {name} by a pod in namespace {client.namespace}")
            text = probe_pod.run(client, name, asked.image or probe_pod.IMAGE)
            told.append(diagnosis(name, probed.facts(text).completed_by(facts)))
    return _told(tuple(told), form)


def read(file: str, node: str, form: Format) -> Exit:
    """Print what the output of the probe in a file says; - is standard input."""
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode(errors="replace")
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    if not probed.Printed.of(text).is_probe:
        raise UsageError(
            f"{file} is no output of the probe, or of another version of it",
            f"`{probe_pod.by_hand('NODE')}` makes one",
        )
    name = node or ("standard input" if file == "-" else file)
    return _told((diagnosis(name, probed.facts(text)),), form)


def _told(told: tuple[Diagnosis, ...], form: Format) -> Exit:
    if form is Format.TABLE:
        from damon_cli.doctor import screen

        screen.show(output.console(), told)
    else:
        output.write("Doctor", {"items": told}, form)
    return Exit.FINE if all(each.tunable == "True" for each in told) else Exit.NOT_MET


def _reported(client: Client, names: tuple[str, ...]) -> Iterator[Diagnosis]:
    found = _by_name(client, names) if names else _every(client)
    return (diagnosis(name, facts) for name, facts in found)


def _by_name(client: Client, names: tuple[str, ...]) -> list[tuple[str, NodeFacts]]:
    """Return what the API knows of these nodes; raise NotFoundError for one that is not there."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(lambda name: (name, _of_node(client, name)), names))


def _of_node(client: Client, name: str) -> NodeFacts:
    try:
        node: Raw | None = client.get(object_path(_NODES, name))
    except ForbiddenError:
        node = None
    try:
        damon_node = client.find(object_path(DAMON_NODES, name))
    except (ForbiddenError, NotInstalledError):
        damon_node = None
    try:
        pods = list(client.items(of_namespace("", "pods"), fields=f"spec.nodeName={name}"))
    except ForbiddenError:
        return reported.facts(node, damon_node, None)
    return reported.facts(node, damon_node, pods)


def _every(client: Client) -> Iterator[tuple[str, NodeFacts]]:
    """Yield what the API knows of all nodes; pods are not asked for: that is for one node."""
    agents: dict[str, NodeFacts] = {}  # a DamonNode is up to 64 KiB, and there may be thousands
    with suppress(NotInstalledError):
        for page in client.pages(DAMON_NODES, size=_DAMON_NODE_PAGE):
            for each in page.get("items") or ():
                agents[str(each["metadata"]["name"])] = reported.facts(None, each, None)
    for node in client.items(_NODES):
        name = str(node["metadata"]["name"])
        yield name, agents.get(name, NodeFacts()).completed_by(reported.facts(node, None, None))
