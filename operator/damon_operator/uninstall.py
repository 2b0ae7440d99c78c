"""Before an uninstall: the operator goes, every node is switched off, and its agent has said so.

The chart's pre-delete hook runs it as `python -m damon_operator.uninstall`. The specs of
DamonTunings stay as they are, so that a new installation resumes them; therefore the operator has
to go first, or it would plan anew. Their status says that nothing carries them out. Level-based:
each pass looks at everything and does what is next.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from damon_contract import names
from damon_contract.logs import FORMS, Form
from damon_contract.v1alpha1.node import DamonNodeSpec
from damon_contract.v1alpha1.tuning import Settings
from damon_operator import errors, logs
from damon_operator.cluster import Cluster, connect
from damon_operator.facts import read_tuning, spec_digest
from damon_operator.listing import LeftOut
from damon_operator.planner.plan import wire
from damon_operator.planner.status import uninstalled_status
from damon_operator.resources import DAMON_NODES, DAMON_TUNINGS, NODES, Raw, Resource

_log = logging.getLogger(__name__)

T = TypeVar("T")

_PLAN_POLICY = "'damonnodes-plan.damon-operator.io'"
"""How a refusal names the policy by which one installation alone may write plans. It is made with
the release, and lets this hook of its own release write."""
_BLANK: Final = wire(DamonNodeSpec(tuning="", mode="Off", settings=Settings(), hash=""))
"""The plan of a node of whose plan nothing is known."""


@dataclass(frozen=True)
class Plan:
    """What of a DamonNode decides about an uninstall.

    A plan names every pod of its node, and its status does so again: no more of it is kept, or the
    plans of a large cluster would not fit into the hook's pod.
    """

    name: str
    uid: str
    """Empty: it is still to be created."""
    wanted: Raw | None
    """The plan with nothing to do that is to be written; None: it stands already."""
    is_off: bool = False
    """The agent has said of this very plan that nothing of ours is in the kernel."""
    answered: bool = False
    """An agent has said anything, of this plan or of one before."""


@dataclass(frozen=True)
class Machine:
    """What of a Node decides about an uninstall."""

    name: str
    uid: str
    is_ready: bool


@dataclass(frozen=True)
class Release:
    """What is to be uninstalled."""

    namespace: str
    deployment: str
    lease: str
    agent_labels: Mapping[str, str]
    """Labels of the agents' pods."""
    delete_tunings: bool = False


async def uninstall(
    cluster: Cluster,
    release: Release,
    *,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Return 0 when nothing of ours is in any kernel, 1 when that is not known in time."""
    deadline = clock() + timeout_s
    told: Sequence[str] = ()
    while True:
        try:
            waiting = await _pass(cluster, release)
        except errors.Refused as error:
            if _PLAN_POLICY in error.message:
                _log.warning(
                    "the plans of this cluster belong to another installation of damon-operator, "
                    "whose policy is in force: its agents go on, nothing is switched off: %s", error
                )  # fmt: skip
                return 0
            waiting = [f"the API server: {error}"]
        except errors.ApiError as error:
            # A refusal as well: roles made a moment ago may not have come into force.
            waiting = [f"the API server: {error}"]
        if not waiting:
            return 0
        if waiting != told:
            _log.info("waiting for %s", "; ".join(waiting))
            told = waiting
        if clock() >= deadline:
            _log.error(
                "gave up after %d s waiting for %s. Mend these nodes and uninstall again; delete "
                "the Node of a machine that is gone. `helm uninstall --no-hooks` asks nobody",
                timeout_s, "; ".join(waiting),
            )  # fmt: skip
            return 1
        await sleep(1.0)


async def _pass(cluster: Cluster, release: Release) -> list[str]:
    """Do what is next; return what has to happen first, or nothing at the end."""
    with suppress(errors.NotFound):
        deployment = await cluster.read_deployment(release.namespace, release.deployment)
        if not deployment["metadata"].get("deletionTimestamp"):
            await cluster.delete_deployment(release.namespace, release.deployment)
        return ["the operator's last pod to go"]
    try:
        plans = await _all(cluster, DAMON_NODES, read_plan)
    except errors.NotFound:
        plans = []  # the CRDs went before
    machines = {machine.name: machine for machine in await _all(cluster, NODES, read_machine)}
    agents = await _agents(cluster, release)
    planless = agents & machines.keys() - {plan.name for plan in plans}
    plans += [_planless(machines[name]) for name in planless]
    waiting = []
    for plan in plans:
        if plan.wanted is not None:
            await cluster.apply_node(plan.wanted)
            _log.info("planned off node=%s", plan.name)
            waiting.append(f"the agent of {plan.name}")
        elif plan.is_off:
            continue
        elif plan.name in agents or plan.answered:
            trouble = _trouble(machines.get(plan.name), has_agent=plan.name in agents)
            waiting.append(f"the agent of {plan.name}{trouble}")
        else:
            _log.info("not waited for, no agent has ever run there node=%s", plan.name)
    if not waiting:
        await _remove(cluster, release, plans)
    return waiting


async def _all(cluster: Cluster, resource: Resource, read: Callable[[Raw], T]) -> list[T]:
    """Return what `read` makes of each object; the objects themselves are not kept."""
    found: list[T] = []

    def take(raw: Any) -> None:
        # Of an object that can't be read its metadata has to do.
        found.append(read({"metadata": raw.metadata} if isinstance(raw, LeftOut) else raw))

    after = ""
    while True:
        page = await cluster.page(resource, limit=500, after=after, take=take)
        if not (after := page.next):
            return found


async def _agents(cluster: Cluster, release: Release) -> set[str]:
    """Return the nodes where an agent's pod has started: something of it may be on."""
    pods = Resource(
        "pods",
        f"/api/v1/namespaces/{release.namespace}/pods",
        label_selector=",".join(f"{key}={value}" for key, value in release.agent_labels.items()),
    )
    return {name for name in await _all(cluster, pods, _started_on) if name}


def _started_on(pod: Raw) -> str:
    """Return the node of a pod that has started, else nothing.

    A pod that is still Pending has never run, nor has one that its node refused; the plan's status
    says whether one before it has.
    """
    status = pod.get("status") or {}
    phase = status.get("phase")
    never_ran = phase == "Pending" or (phase == "Failed" and not status.get("containerStatuses"))
    return "" if never_ran else str((pod.get("spec") or {}).get("nodeName") or "")


def read_machine(raw: Raw) -> Machine:
    """Read a Node."""
    metadata = raw["metadata"]
    is_ready = ("Ready", "True") in _conditions(raw, "status")
    return Machine(metadata["name"], metadata["uid"], is_ready)


def read_plan(raw: Raw) -> Plan:
    """Read a DamonNode."""
    metadata, spec = raw["metadata"], raw.get("spec") or {}
    stands = spec.get("mode") == "Off" and not spec.get("pods")
    return Plan(
        name=metadata["name"],
        uid=metadata["uid"],
        wanted=None if stands else _off(metadata, spec or _BLANK),
        is_off=_is_off(raw),
        answered=bool(_conditions(raw, "status")),
    )


def _planless(machine: Machine) -> Plan:
    """Return a plan for a node that has an agent and none.

    Its agent may not have heard yet that the plan is gone; only an answer to a plan tells.
    """
    owner = {"apiVersion": "v1", "kind": "Node", "name": machine.name, "uid": machine.uid}
    metadata = {"name": machine.name, "ownerReferences": [owner]}
    return Plan(machine.name, "", _off(metadata, _BLANK))


def _trouble(machine: Machine | None, *, has_agent: bool) -> str:
    """Return what is known of why an agent does not answer, to be shown behind its name."""
    if machine is None or not machine.is_ready:
        return " (the node is not ready)"
    return "" if has_agent else " (it has no pod that runs)"


def _off(metadata: Raw, spec: Raw) -> dict[str, Any]:
    """Return a plan with nothing to do, by the name of whom it had been applied by."""
    spec = {**spec, "mode": "Off", "pods": [], "podsLeftOut": 0}
    kept = ("name", "ownerReferences")
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.NODE_KIND,
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {**spec, "hash": spec_digest(spec)},
    }


def _is_off(plan: Raw) -> bool:
    """Whether the agent has said of this very plan that nothing of ours is in the kernel.

    Where DAMON is not to be had (none, or somebody else's) nothing of ours can be in it either.
    """
    status = plan.get("status") or {}
    return (
        status.get("observedHash") == (plan.get("spec") or {}).get("hash")
        and all(lane["state"] == "off" for lane in status.get("lanes") or ())
        and (
            ("Applied", "Off") in _conditions(plan, "reason")
            or ("DamonAvailable", "False") in _conditions(plan, "status")
        )
    )


def _conditions(of: Raw, key: str) -> set[tuple[str, str]]:
    return {(c["type"], c[key]) for c in (of.get("status") or {}).get("conditions") or ()}


async def _remove(cluster: Cluster, release: Release, plans: Sequence[Plan]) -> None:
    with suppress(errors.NotFound):  # the CRDs went before
        await _release_tunings(cluster, release)
    for plan in plans:
        with suppress(errors.NotFound, errors.Conflict):
            await cluster.delete_node(plan.name, plan.uid)
    with suppress(errors.NotFound):
        await cluster.delete_lease(release.namespace, release.lease)
    _log.info("every node is off; removed nodes=%d", len(plans))


async def _release_tunings(cluster: Cluster, release: Release) -> None:
    """Delete the tunings, or let those that stay say that nothing carries them out any more."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for raw in await _all(cluster, DAMON_TUNINGS, dict):
        name = raw["metadata"]["name"]
        if release.delete_tunings:
            with suppress(errors.NotFound):
                await cluster.delete_tuning(name)
            continue
        try:
            tuning = read_tuning(raw)
        except errors.BadObject as error:
            _log.warning("status not written: %s", error)
            continue
        status = uninstalled_status(tuning, now=now)
        if status != tuning.status:
            body = status.model_dump(mode="json", by_alias=True)
            await cluster.write_tuning_status(name, tuning.version, body)


@dataclass(frozen=True)
class CommandLine:
    """What it says."""

    kubeconfig: str | None
    release: Release
    timeout_s: float
    log_format: Form = "logfmt"


def read(arguments: Sequence[str] | None) -> CommandLine:
    """Return the settings; exit with a message when they cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m damon_operator.uninstall", description=__doc__)
    parser.add_argument("--kubeconfig", help="by default the service account of the pod")
    parser.add_argument("--namespace", required=True, help="namespace of the installation")
    parser.add_argument("--deployment", required=True, help="the operator's Deployment")
    parser.add_argument("--lease", required=True, help="the operator's Lease")
    parser.add_argument(
        "--agent-selector", required=True, metavar="KEY=VALUE,...", help="labels of agent pods"
    )
    parser.add_argument("--timeout-seconds", type=int, default=240, help="(default: %(default)s)")
    parser.add_argument("--delete-tunings", action="store_true", help="also all DamonTunings")
    parser.add_argument(
        "--log-format", choices=FORMS, default="logfmt", help="(default: %(default)s)"
    )
    said = parser.parse_args(arguments)
    labels = dict(pair.split("=", 1) for pair in said.agent_selector.split(","))
    release = Release(said.namespace, said.deployment, said.lease, labels, said.delete_tunings)
    return CommandLine(said.kubeconfig, release, said.timeout_seconds, said.log_format)


def main(arguments: Sequence[str] | None = None) -> int:
    """Uninstall what the command line names; return the exit status."""
    settings = read(arguments)
    logs.to_stderr("info", settings.log_format)

    async def run() -> int:
        async with connect(settings.kubeconfig) as cluster:
            return await uninstall(cluster, settings.release, timeout_s=settings.timeout_s)

    return asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
