"""The steps of the demo: what is done, and what besides the kernel's state must hold then."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from damon_mock.kube.failures import ApiFailure
from damon_mock.nodes.reclaim import Held

from .programs import MEMORY
from .stage import Stage

T = TypeVar("T")

Facts = list[str]
"""Lines for people: what was seen beside the kernel's state."""

PODS_ON: Final[Mapping[str, tuple[str, ...]]] = {
    "node-a": ("database", "web", "report", "profiler"),
    "node-b": ("thumbnails", "cart", "compile"),
}
"""Where the pods of examples/pods.yaml run."""

_EVENTUALLY_S: Final = 60.0
"""As in play.py: a noisy machine is no failure."""
_MIB: Final = 2**20
_CACHE: Final = Held(file_bytes=320 * _MIB, hot_file_bytes=64 * _MIB)
"""Of the pods on the node without DAMON."""


class NotHeldError(Exception):
    """Something beside the kernel's state is not as it must be."""


@dataclass(frozen=True)
class Step:
    """One step: `do` acts and returns; `seen` waits for what is to be seen in the API."""

    title: str
    do: Callable[[Stage], Awaitable[None]]
    quiet: tuple[str, ...]
    """Nodes on which not a single file may be written."""
    seen: Callable[[Stage], Awaitable[Facts]] | None = None
    tuned: bool = True
    """Whether a tuning is in force afterwards."""


async def place_pods(stage: Stage) -> None:
    """Create the namespaces and run the pods of examples/pods.yaml on their nodes."""
    manifests = list(yaml.safe_load_all((stage.examples / "pods.yaml").read_text("utf-8")))
    for manifest in manifests:
        if manifest["kind"] == "Namespace":
            if stage.api.cluster.find("namespaces", manifest["metadata"]["name"]) is None:
                stage.api.cluster.create(manifest)
            continue
        name = manifest["metadata"]["name"]
        node = next(node for node, names in PODS_ON.items() if name in names)
        await stage.nodes[node].simulated.start_pod(manifest)


async def apply_tuning(stage: Stage) -> None:
    """Create examples/tuning.yaml."""
    stage.api.cluster.create(yaml.safe_load((stage.examples / "tuning.yaml").read_text("utf-8")))


async def _reported_ready(stage: Stage) -> Facts:
    def applied() -> str | None:
        status = stage.api.cluster.get("dt", "default").get("status", {})
        if _condition(status, "Ready").get("status") != "True":
            return None
        return f"{status['nodes']['applied']} of {status['nodes']['governed']} nodes applied"

    return [f"dt/default Ready: {await _until('the tuning to be Ready', applied)}"]


async def _start_pod(stage: Stage) -> None:
    await stage.nodes["node-a"].simulated.start_pod(
        _pod("search", annotations={"damon-operator.io/priority": "60"})
    )


async def _delete_pod(stage: Stage) -> None:
    await stage.nodes["node-b"].simulated.delete_pod("thumbnails", "shop")


async def _annotate(stage: Stage) -> None:
    stage.api.cluster.annotate("pods", "report", {"damon-operator.io/priority": "70"}, "shop")


async def _fork(stage: Stage) -> None:
    await stage.nodes["node-a"].simulated.fork("web", "server", "shop")


async def _garbage_annotation(stage: Stage) -> None:
    stage.api.cluster.annotate("pods", "cart", {"damon-operator.io/priority": "very high"}, "shop")


async def _rejection_told(stage: Stage) -> Facts:
    def told() -> str | None:
        for event in stage.api.cluster.list("events"):  # core/v1 shows what events.k8s.io got
            if event["reason"] == "PriorityRejected":
                return f"Event on pod {event['involvedObject']['name']}: {event['message']}"
        return None

    return [await _until("an Event for the rejected annotation", told)]


async def _garbage_tuning(stage: Stage) -> None:
    """Change the tuning in force to reversed bounds, past the server's own validation."""
    bounds = {"min": 90, "max": 10}
    change = {"spec": {"priorities": {"annotation": bounds}}}
    stage.api.cluster.patch("dt", "default", change)


async def _refusals_told(stage: Stage) -> Facts:
    facts = []
    for spec in ({"protectFrom": "high"}, {"watermarks": {"ceiling": 400}}):
        try:
            stage.api.cluster.create(_tuning("garbage", spec))
        except ApiFailure as failure:
            facts.append(f"refused: {failure.body()['message']}")
        else:
            raise NotHeldError(f"the API server took {spec}")
    message = await _until("the tuning to be told invalid", lambda: _validity(stage, "False"))
    facts.append(f"dt/default Valid=False: {message}")
    corrected = {"spec": {"priorities": {"annotation": {"min": None, "max": 75}}}}
    stage.api.cluster.patch("dt", "default", corrected)
    await _until("the corrected tuning to be valid", lambda: _validity(stage, "True"))
    return facts


def _validity(stage: Stage, status: str) -> str | None:
    valid = _condition(stage.api.cluster.get("dt", "default").get("status", {}), "Valid")
    return str(valid["message"]) if valid.get("status") == status else None


async def _kill_agent(stage: Stage) -> None:
    """SIGKILL; start a pod while nobody works on the node; start the agent again."""
    node = stage.nodes["node-a"]
    threads = {lane.thread for lane in (await node.observe()).lanes}
    await node.agent.kill()
    await node.simulated.start_pod(_pod("queue", annotations={"damon-operator.io/priority": "60"}))
    alive = {lane.thread for lane in (await node.observe()).lanes}
    if not threads or alive != threads:
        raise NotHeldError("kdamonds did not go on without the agent")
    node.threads = threads
    await node.agent.start()


async def _kdamonds_kept(stage: Stage) -> Facts:
    node = stage.nodes["node-a"]
    now = {lane.thread for lane in (await node.observe()).lanes}
    before = node.threads
    if not before <= now:
        raise NotHeldError(f"kdamonds {sorted(before - now)} were not adopted")
    return [f"all {len(before)} kdamonds are the threads they were before the SIGKILL"]


async def _join_without_damon(stage: Stage) -> None:
    """Add a node without DAMON and swap, with two pods whose page cache is mostly cold."""
    no_swap = replace(MEMORY, swap_total_bytes=0, swap_free_bytes=0)
    node = await stage.join_without_damon("node-c", no_swap)
    await node.simulated.start_pod(_pod("linker", namespace="builds"), _CACHE)
    await node.simulated.start_pod(_pod("search-index", priorityClassName="critical"), _CACHE)


async def _page_cache_given_up(stage: Stage) -> Facts:
    """Wait until the unimportant pod has given up some, and take the node away again."""
    node = stage.nodes["node-c"].simulated
    linker, index = node.cgroup("linker", "builds"), node.cgroup("search-index")

    def gone() -> int | None:
        return _CACHE.file_bytes - _stat(linker, "file") or None

    await _until("page cache of builds/linker to go", gone)
    if kept_less := _CACHE.file_bytes - _stat(index, "file"):
        raise NotHeldError(f"default/search-index is protected and lost {kept_less} bytes")
    if back := _stat(linker, "workingset_refault_file"):
        raise NotHeldError(f"{back} pages of builds/linker came back, so hot ones went")

    def said() -> str | None:
        status = stage.api.cluster.get("dn", "node-c").get("status", {})
        if status.get("memoryReclaim", {}).get("takes") != "FilePages":
            return None
        return str(_condition(status, "Applied")["message"])

    message = await _until("the DamonNode to say so", said)
    await stage.leave("node-c")
    kept = f"default/search-index (83) keeps all {_CACHE.file_bytes // _MIB} MiB of its own"
    return [
        f"page cache of builds/linker (10) goes, {kept}",
        f"dn/node-c: {message}",
    ]


def _stat(cgroup: Path, name: str) -> int:
    lines = (cgroup / "memory.stat").read_text().splitlines()
    return int(dict(map(str.split, lines))[name])


async def remove_tuning(stage: Stage) -> None:
    """Delete the tuning."""
    stage.api.cluster.delete("dt", "default")


async def _nothing_left(stage: Stage) -> Facts:
    await _until("the DamonNodes to go", lambda: None if stage.api.cluster.list("dn") else True)
    for node in stage.nodes.values():
        observed = await node.observe()
        if observed.nr_kdamonds != "0":
            raise NotHeldError(f"{node.name}: nr_kdamonds reads {observed.nr_kdamonds}")
    return ["no DamonNode, no kdamond: nr_kdamonds reads 0 on both nodes, as found"]


def steps() -> tuple[Step, ...]:
    """Return the steps, in order."""
    return (
        Step("apply examples/tuning.yaml", apply_tuning, (), _reported_ready),
        Step("start pod default/search on node-a", _start_pod, ("node-b",)),
        Step("delete pod shop/thumbnails on node-b", _delete_pod, ("node-a",)),
        Step("change annotation of shop/report: 40 -> 70", _annotate, ("node-b",)),
        Step("fork inside shop/web, container server", _fork, ("node-b",)),
        Step(
            "garbage annotation on shop/cart",
            _garbage_annotation,
            ("node-a", "node-b"),
            _rejection_told,
        ),
        Step("garbage DamonTunings", _garbage_tuning, ("node-a", "node-b"), _refusals_told),
        Step(
            "SIGKILL the agent of node-a; start default/queue meanwhile",
            _kill_agent,
            ("node-b",),
            _kdamonds_kept,
        ),
        Step(
            "node-c joins, with neither DAMON nor swap",
            _join_without_damon,
            (),
            _page_cache_given_up,
        ),
        Step("delete the tuning", remove_tuning, (), _nothing_left, tuned=False),
    )


def _pod(
    name: str,
    namespace: str = "default",
    *,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox:1.37", "command": ["sleep", "infinity"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
        "spec": {"containers": [container], **spec},
    }


def _tuning(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "damon-operator.io/v1alpha1",
        "kind": "DamonTuning",
        "metadata": {"name": name},
        "spec": dict(spec),
    }


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


async def _until(what: str, look: Callable[[], T | None]) -> T:
    """Look again and again until there is something; NotHeldError after long in vain."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _EVENTUALLY_S
    while loop.time() < until:
        seen = look()
        if seen is not None:
            return seen
        await asyncio.sleep(0.05)
    raise NotHeldError(f"waited in vain for {what}")
