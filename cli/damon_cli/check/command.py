"""Starts the pods of a check, follows them until all is decided, and takes them away."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final

from damon_cli import output
from damon_cli.check import manifest, stage
from damon_cli.check.answer import CheckAnswer, NodeResult, node_result, subject
from damon_cli.check.sample import Sample, samples
from damon_cli.check.spots import Spot, one_per_tuning, spot
from damon_cli.check.verdict import Expected, Outcome, verdict
from damon_cli.client import DAMON_NODES, TUNINGS, Client, Raw, object_path, of_namespace
from damon_cli.errors import CliError, Exit, NotFoundError, RefusedError, UnreachableError
from damon_cli.explain.command import explanations
from damon_cli.explain.explanation import Explanation
from damon_cli.options import Format
from damon_cli.status.command import node_rows
from damon_cli.wait import Clock, Sleep, Wait
from damon_contract import names

_LOOK_S: Final = 3.0
_AT_ONCE: Final = 4
_LINES: Final = 60
"""Of a log, in one look: more than the workload says between two."""
_AGENTS: Final = f"{names.PART_OF_LABEL}={names.PART_OF},app.kubernetes.io/component=agent"
_SIZES: Final = (manifest.COLD_BYTES, manifest.HOT_BYTES, manifest.PROGRAM_BYTES)


@dataclass(frozen=True)
class CheckOptions:
    """What the command line asks for."""

    nodes: tuple[str, ...]
    every: bool
    timeout_s: float
    image: str
    """Empty: the agents' own."""
    keep: bool
    sysdump: bool = False
    """Write one if the check fails."""


@dataclass
class Followed:
    """The pods of a check, as they are seen."""

    client: Client
    namespace: str
    spots: list[Spot]
    samples: dict[str, dict[int, Sample]] = field(default_factory=dict)
    """By pod and second."""
    unread: dict[str, str] = field(default_factory=dict)
    """Why a log could not be read, by pod."""

    def look(self, *, over: bool) -> list[NodeResult]:
        """Return what has come of each node by now."""
        listed = self.client.items(of_namespace(self.namespace, "pods"))
        pods = {str(pod["metadata"]["name"]): pod for pod in listed}
        told = {each.name: each for each in explanations(self.client, list(pods.values()))}
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(self._read, pods.values()))
        return [self._result(i, pods, told, over=over) for i in range(len(self.spots))]

    def _result(
        self, number: int, pods: dict[str, Raw], told: dict[str, Explanation], *, over: bool
    ) -> NodeResult:
        here = self.spots[number]
        low, high = (
            subject(pods.get(name), told.get(name), self._said(name), self.unread.get(name, ""))
            for name in (f"low-{number}", f"high-{number}")
        )
        phases = verdict(low, high, Expected(*_SIZES, here.action), over=over)
        return node_result(here, low, high, phases)

    def _said(self, name: str) -> list[Sample]:
        return [each for _, each in sorted(self.samples.get(name, {}).items())]

    def _read(self, pod: Raw) -> None:
        if (pod.get("status") or {}).get("phase") != "Running":
            return
        name = str(pod["metadata"]["name"])
        path = object_path(of_namespace(self.namespace, "pods"), name)
        try:
            log = self.client.text(f"{path}/log?container={manifest.CONTAINER}&tailLines={_LINES}")
        except (NotFoundError, RefusedError, UnreachableError) as error:
            self.unread[name] = error.message  # it starts, has just gone, or its kubelet is away
            return
        self.unread.pop(name, None)
        found = self.samples.setdefault(name, {})
        found.update({each.second: each for each in samples(log)})


def run(
    client: Client,
    asked: CheckOptions,
    form: Format,
    *,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> Exit:
    """Check the nodes that are asked for, and print what came of each."""
    spots = _spots(client, asked)
    image = asked.image or _agents_image(client)
    program = resources.files("damon_cli.check").joinpath("workload.py").read_text("utf-8")
    ends_after_s = int(asked.timeout_s) + 300
    with stage.namespace(client, keep=asked.keep, sleep=sleep) as namespace:
        output.say(f"checking {', '.join(each.node for each in spots)} in namespace {namespace}")
        wait = Wait.lasting(asked.timeout_s, clock, sleep)
        for i, each in enumerate(spots):
            for name, priority in (("low", each.low), ("high", each.high)):
                body = manifest.pod(
                    f"{name}-{i}",
                    each.node,
                    priority,
                    image=image,
                    program=program,
                    ends_after_s=ends_after_s,
                )
                stage.create_pod(client, namespace, body, sleep)
        results = _follow(Followed(client, namespace, spots), wait)
        failed = tuple(each.node for each in results if not each.passed)
        if failed and asked.sysdump:
            _dump(client, failed)  # while the pods of the check are still in the plans
    passed = all(each.passed for each in results)
    answer = CheckAnswer(passed, namespace, image, tuple(results))
    if form is Format.TABLE:
        from damon_cli.check import screen

        screen.show(output.console(), answer)
    else:
        output.write("Check", answer, form)
    return Exit.FINE if passed else Exit.NOT_MET


def _dump(client: Client, nodes: tuple[str, ...]) -> None:
    """Write a sysdump of nodes; without one the check has its answer all the same."""
    from damon_cli.sysdump.collection import Collection
    from damon_cli.sysdump.command import write

    path = Path(f"damon-check-sysdump-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")
    try:
        files, missing = write(path, Collection(client, nodes=nodes))
    except CliError as error:
        output.say(f"no sysdump: {error.message}")
        return
    output.say(f"{path}: {files} files, {len(missing)} missing")


def _spots(client: Client, asked: CheckOptions) -> list[Spot]:
    specs = {raw["metadata"]["name"]: raw.get("spec") or {} for raw in client.items(TUNINGS)}
    if asked.nodes:
        for name in asked.nodes:
            client.get(object_path("/api/v1/nodes", name))
        found = {name: client.find(object_path(DAMON_NODES, name)) for name in asked.nodes}
        tunings = {
            name: str(((raw or {}).get("spec") or {}).get("tuning") or "")
            for name, raw in found.items()
        }
    else:
        rows = list(node_rows(client))
        chosen = [row.name for row in rows] if asked.every else one_per_tuning(rows)
        tunings = {row.name: row.tuning for row in rows if row.name in set(chosen)}
    if not tunings:
        raise NotFoundError(
            "no node has a plan: there is nothing to check",
            "`kubectl damon status` says why; --node checks a node all the same",
        )
    return [spot(name, tuning, specs.get(tuning, {})) for name, tuning in tunings.items()]


def _agents_image(client: Client) -> str:
    """Return the image of the agents: it has Python, and is on their nodes already."""
    found = client.items("/apis/apps/v1/daemonsets", labels=_AGENTS)
    for each in found:
        for container in each["spec"]["template"]["spec"]["containers"]:
            return str(container["image"])
    raise CliError(
        "there is no DaemonSet of agents whose image could be used",
        "--image names one with python3 in it",
    )


def _follow(followed: Followed, wait: Wait) -> list[NodeResult]:
    """Look until nothing is waited for, or the time is over; say what is waited for."""
    while True:
        results = wait.answer(lambda: followed.look(over=wait.left_s <= 0))
        waits = [
            f"{each.node}: {phase.name}: {phase.says}"
            for each in results
            for phase in each.phases
            if phase.outcome is Outcome.WAITING
        ]
        if not waits:
            return results
        wait.says(waits[0])
        wait.sleep(_LOOK_S)
