"""Asks for what explanations need: a few objects by name, never a whole cluster."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from damon_cli import output
from damon_cli.client import DAMON_NODES, TUNINGS, Client, Raw, object_path
from damon_cli.errors import Exit, UnreadableError
from damon_cli.explain.answer import explain
from damon_cli.explain.explanation import Explanation
from damon_cli.explain.facts import BadObject, gather
from damon_cli.explain.workloads import pods_of, wanted
from damon_cli.options import Format

_AT_ONCE: Final = 4


def run(client: Client, words: list[str], form: Format) -> Exit:
    """Explain the pods of what the words name."""
    named = wanted(words)
    pods = pods_of(client, named, client.namespace)
    told = explanations(client, pods)
    if form is not Format.TABLE:
        if named.plural == "pods":
            output.write("Explanation", told[0], form)
        else:
            output.write("ExplanationList", {"items": told}, form)
        return Exit.FINE
    from damon_cli.explain import screen

    console = output.console()
    if not told:
        console.print(f"{named.plural}/{named.name} has no pods")
    for i, each in enumerate(told):
        if i:
            console.print()
        screen.show(console, each)
    return Exit.FINE


def explanations(client: Client, pods: list[Raw]) -> list[Explanation]:
    """Explain pods; each node, namespace and tuning is asked for once."""
    paths = {TUNINGS}
    for pod in pods:
        paths.add(_namespace(pod))
        if node := _node_name(pod):
            paths |= {_node(node), object_path(DAMON_NODES, node)}
    # The first answer opens the connection; the others then share a few.
    order = sorted(paths, key=lambda path: path != TUNINGS)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = dict(zip(order, threads.map(client.find, order), strict=True))
    tunings = (answers[TUNINGS] or {}).get("items") or ()
    told = []
    for pod in pods:
        node = _node_name(pod)
        found = answers.get(_node(node)) if node else None
        damon_node = answers.get(object_path(DAMON_NODES, node)) if node else None
        space = answers.get(_namespace(pod)) or _unknown_namespace(pod)
        try:
            told.append(explain(gather(pod, space, found, tunings, damon_node)))
        except BadObject as error:
            raise UnreadableError(f"an object that cannot be read: {error}") from error
    return told


def _node_name(pod: Raw) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def _node(name: str) -> str:
    return object_path("/api/v1/nodes", name)


def _namespace(pod: Raw) -> str:
    return object_path("/api/v1/namespaces", str(pod["metadata"]["namespace"]))


def _unknown_namespace(pod: Raw) -> Raw:
    return {"metadata": {"name": pod["metadata"]["namespace"]}}
