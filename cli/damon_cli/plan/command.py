"""Asks for the cluster that a plan is made of, and lets the planner make it."""

from collections.abc import Iterable
from typing import Any, Final

from damon_cli import output
from damon_cli.client import DAMON_NODES, TUNINGS, Client, Raw, object_path
from damon_cli.damon_node import DamonNode
from damon_cli.errors import Exit, ForbiddenError, NotFoundError, RefusedError
from damon_cli.options import Format
from damon_cli.plan import manifest
from damon_cli.plan.answer import PlanAnswer, Refusal
from damon_cli.plan.forecast import ClusterFacts, Plans, forecast, plans
from damon_cli.plan.ladders import NodeLadder, node_ladder
from damon_cli.plan.rollouts import rollouts
from damon_contract import names
from damon_contract.quantities import quantity_bytes
from damon_operator import facts, resources
from damon_operator.errors import BadObject
from damon_operator.facts import Part, Tuning

_LADDERS: Final = 3
"""Nodes whose ladders are shown unless some are named."""
_DRY_RUN: Final = "dryRun=All&fieldValidation=Strict&fieldManager=kubectl-damon"
_LATEST: Final = "9999-12-31T23:59:59Z"
"""A tuning that is yet to be created is the youngest of all."""


def run(client: Client, file: str, nodes: list[str], form: Format) -> Exit:
    """Print what the tunings of a file would change; without a file, what stands."""
    given = manifest.tunings(file) if file else []
    stored = {raw["metadata"]["name"]: raw for raw in client.items(TUNINGS)}
    now = [facts.read_tuning(raw) for raw in stored.values()]
    then, refused = _changed(now, given)
    unchecked = None
    for raw in given if not refused else ():
        name = raw["metadata"]["name"]
        message, unchecked = _asked(client, raw, stored.get(name))
        if message:
            refused.append(Refusal(name, "API server", message))
    cluster, capacities = _cluster_facts(client, nodes)
    made = plans(cluster, then)
    asked = {raw["metadata"]["name"] for raw in given} - {each.tuning for each in refused}
    taken = [tuning for tuning in then if tuning.name in asked]
    answer = PlanAnswer(
        given=tuple(raw["metadata"]["name"] for raw in given),
        refused=tuple(refused),
        unchecked=unchecked,
        forecast=forecast(cluster, now, then),
        ladders=tuple(_ladders(client, made, capacities, nodes)),
        rollouts=tuple(rollouts(taken, made.values(), whole=not nodes)),
    )
    if form is Format.TABLE:
        from damon_cli.plan import screen

        screen.show(output.console(), answer)
    else:
        output.write("Plan", answer, form)
    return Exit.NOT_MET if refused else Exit.FINE


def _changed(now: list[Tuning], given: Iterable[Raw]) -> tuple[list[Tuning], list[Refusal]]:
    """Return the tunings as they would be, and what the operator could not read of them.

    As in the operator, a tuning that cannot be read leaves its last valid spec in force.
    """
    then = {tuning.name: tuning for tuning in now}
    refused = []
    for raw in given:
        name = raw["metadata"]["name"]
        stands = then.get(name)
        uid = stands.uid if stands is not None else "new"
        created = stands.created if stands is not None else _LATEST
        metadata = {"name": name, "uid": uid, "creationTimestamp": created}
        try:
            read = facts.read_tuning({"metadata": metadata, "spec": raw.get("spec") or {}}, stands)
        except BadObject as error:
            refused.append(Refusal(name, "schema", error.why))
            continue
        read = read._replace(status=stands.status if stands is not None else None)
        if read.problem:
            refused.append(Refusal(name, "schema", read.problem))
        then[name] = read
    return list(then.values()), refused


def _asked(client: Client, raw: Raw, stands: Raw | None) -> tuple[str, str | None]:
    """Return why the API server would refuse a tuning; and why it was not asked, if it was not."""
    name = raw["metadata"]["name"]
    metadata = {"name": name}
    if stands is not None:
        metadata["resourceVersion"] = stands["metadata"]["resourceVersion"]
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.TUNING_KIND,
        "metadata": metadata,
        "spec": raw.get("spec") or {},
    }
    try:
        if stands is None:
            client.send("POST", f"{TUNINGS}?{_DRY_RUN}", body)
        else:
            client.send("PUT", f"{object_path(TUNINGS, name)}?{_DRY_RUN}", body)
    except RefusedError as error:
        return error.message, None
    except ForbiddenError as error:
        return "", f"the API server was not asked whether it would take this: {error.message}"
    return "", None


def _cluster_facts(client: Client, nodes: list[str]) -> tuple[ClusterFacts, dict[str, int]]:
    """Read nodes, pods and namespaces; return the capacities of the nodes as well."""
    raw_nodes = (
        [_existing(client, name) for name in nodes] if nodes else client.items("/api/v1/nodes")
    )
    found, capacities = [], {}
    for raw in raw_nodes:
        try:
            node = facts.read_node(raw)
        except BadObject:
            continue  # it costs itself, as in the operator
        found.append(node)
        capacities[node.name] = _capacity(raw)
    by_node: dict[str, list[facts.Pod]] = {node.name: [] for node in found}
    pool = facts.Pool()
    for raw in _pods(client, nodes):
        try:
            pod = facts.read_pod(raw, pool, _accounts(raw))
        except BadObject:
            continue
        if pod.node in by_node:
            by_node[pod.node].append(pod)
    spaces = [facts.read_namespace(raw) for raw in client.items("/api/v1/namespaces")]
    cluster = ClusterFacts(
        nodes=tuple(found),
        pods={name: tuple(pods) for name, pods in by_node.items()},
        namespaces={space.name: space for space in spaces},
    )
    return cluster, capacities


def _existing(client: Client, name: str) -> Raw:
    return client.get(object_path("/api/v1/nodes", name))


def _pods(client: Client, nodes: list[str]) -> Iterable[Raw]:
    if not nodes:
        yield from client.items(resources.PODS.path, fields=resources.PODS.field_selector)
    for node in nodes:
        yield from client.items(resources.PODS.path, fields=f"spec.nodeName={node}")


def _accounts(pod: Raw) -> dict[tuple[str, str], Part]:
    """Return the ServiceAccount of a pod of ours.

    Which they are only the operator knows. Here the label has to do: at worst a pod that borrows it
    is not shown in the plan that it will be in.
    """
    labels = (pod.get("metadata") or {}).get("labels") or {}
    if labels.get(names.PART_OF_LABEL) != names.PART_OF:
        return {}
    account = str((pod.get("spec") or {}).get("serviceAccountName"))
    # Whether an agent has started on a node is for the operator to judge.
    return {(str(pod["metadata"].get("namespace")), account): Part.OTHER}


def _capacity(raw: Raw) -> int:
    try:
        return quantity_bytes(str(raw["status"]["capacity"]["memory"]))
    except (KeyError, TypeError, ValueError):
        return 0


def _ladders(
    client: Client, made: Plans, capacities: dict[str, int], nodes: list[str]
) -> Iterable[NodeLadder]:
    """Yield the ladders of the nodes that are named, else of those with the most priorities."""
    planned = {name: each.spec for name, each in made.items() if each.spec and each.spec.pods}
    chosen = [name for name in nodes if name in planned] or sorted(
        planned, key=lambda name: (-len({p.priority for p in planned[name].pods}), name)
    )[:_LADDERS]
    for name in chosen:
        raw: dict[str, Any] | None
        try:
            raw = client.get(object_path(DAMON_NODES, name))
        except NotFoundError:
            raw = None
        seen = DamonNode.of(raw) if raw is not None else None
        yield node_ladder(name, planned[name], capacities[name], seen)
