"""Playing the demo: act, wait until the kernel is as expected, compare, take notes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from . import observation, steps
from .expectation import ExpectedPod
from .observation import Observation
from .stage import DemoNode, Stage
from .steps import NotHeldError, Step

_EVENTUALLY_S: Final = 60.0
"""Far above the 4 s a change may wait for its commit: a noisy machine is no failure."""

_OPERATORS_AND_AGENTS: Final = ("damon-operator", "damon-agent")


@dataclass(frozen=True)
class NodeOutcome:
    """What came of a step on one node."""

    node: str
    expected: tuple[ExpectedPod, ...]
    observed: Observation
    changes: tuple[str, ...]
    """Files of sysfs that read otherwise than before the step."""


@dataclass
class Outcome:
    """What came of a step."""

    title: str
    milliseconds: int
    """From the end of the action to the moment the last node's kernel was as expected."""
    problems: list[str] = field(default_factory=list)
    """What did not hold; empty when all did."""
    facts: list[str] = field(default_factory=list)
    nodes: list[NodeOutcome] = field(default_factory=list)


async def play(stage: Stage, told: Callable[[Outcome], None]) -> list[Outcome]:
    """Play all steps, telling of each; stop at the first that does not hold."""
    await steps.place_pods(stage)
    outcomes: list[Outcome] = []
    for step in steps.steps():
        outcome = await _one(stage, step)
        outcomes.append(outcome)
        told(outcome)
        if outcome.problems:
            return outcomes
    last = outcomes[-1]
    last.problems += _pod_writes(stage)
    last.facts.append("requests that modify a pod: none")
    return outcomes


async def _one(stage: Stage, step: Step) -> Outcome:
    before = {node.name: await node.observe() for node in stage.nodes.values()}
    loop = asyncio.get_running_loop()
    outcome = Outcome(step.title, 0)
    try:
        await step.do(stage)
        acted = loop.time()
        outcome.problems = await _until_as_expected(stage, tuned=step.tuned)
        outcome.milliseconds = round(1000 * (loop.time() - acted))
        if step.seen is not None and not outcome.problems:
            outcome.facts = await step.seen(stage)
    except NotHeldError as error:
        outcome.problems.append(str(error))
    for name, was in before.items():
        node = stage.nodes[name]
        after = await node.observe()
        changed = tuple(observation.changes(was.sysfs, after.sysfs))
        if name in step.quiet:
            written = await node.changed_since(was.writes)
            outcome.problems += [
                f"{name} was written to, though nothing changed there: {write}" for write in written
            ]
        expected = stage.expected(node) if step.tuned else ()
        outcome.nodes.append(NodeOutcome(name, expected, after, changed))
    return outcome


async def _until_as_expected(stage: Stage, *, tuned: bool) -> list[str]:
    """Wait for every node's kernel; return what is still not as expected when it takes too long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _EVENTUALLY_S
    while True:
        for program in stage.programs():
            program.check()
        found = [
            f"{node.name}: {difference}"
            for node in stage.nodes.values()
            for difference in await _differences(stage, node, tuned=tuned)
        ]
        if not found or loop.time() > until:
            return found
        await asyncio.sleep(0.02)


async def _differences(stage: Stage, node: DemoNode, *, tuned: bool) -> list[str]:
    observed = await node.observe()
    if not tuned and observed.nr_kdamonds != "0":
        return [f"nr_kdamonds reads {observed.nr_kdamonds}"]
    return observation.differences(stage.expected(node) if tuned else (), observed)


def _pod_writes(stage: Stage) -> list[str]:
    return [
        f"{request.user_agent}: {request.method} {request.path}"
        for request in stage.api.journal.writes("pods")
        if request.user_agent.startswith(_OPERATORS_AND_AGENTS) or request.is_write
    ]


def as_data(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return everything as plain data."""
    return {
        "held": not any(outcome.problems for outcome in outcomes),
        "steps": [
            {
                "title": outcome.title,
                "milliseconds": outcome.milliseconds,
                "held": not outcome.problems,
                "problems": outcome.problems,
                "facts": outcome.facts,
                "nodes": {
                    node.node: {"pods": rows(node), "changes": list(node.changes)}
                    for node in outcome.nodes
                },
            }
            for outcome in outcomes
        ],
    }


def rows(node: NodeOutcome) -> list[dict[str, Any]]:
    """Return one row per pod: pod, source, priority, lane, pids, mark."""
    found = []
    for pod in node.expected:
        lane = observation.lane_of(pod, node.observed)
        found.append(
            {
                "pod": pod.name,
                "source": pod.source,
                "priority": pod.priority,
                "lane": None if lane is None else lane.index,
                "pids": sorted(pod.pids & set(() if lane is None else lane.pids)),
                "role": pod.role,
                "mark": pod.mark,
                "watermark": None if lane is None or not lane.watermark else lane.watermark,
                "action": None if lane is None or not lane.action else lane.action,
            }
        )
    return found
