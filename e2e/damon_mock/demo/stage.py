"""The stage of the demo: an API server, two nodes with a mock sysfs each, operator and agents."""

import asyncio
import contextlib
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from damon_mock.damon.control import Control
from damon_mock.damon.wire import Server
from damon_mock.kube.server import ApiServer
from damon_mock.nodes import cgroup_memory
from damon_mock.nodes.memory import Memory
from damon_mock.nodes.node import SimulatedNode

from . import expectation, observation
from .expectation import ExpectedPod, Meter
from .observation import Observation
from .programs import MEMORY, Program, Staged, Transport, agent_command


@dataclass
class DemoNode:
    """A simulated node, its mock sysfs and its agent."""

    name: str
    simulated: SimulatedNode
    sysfs: Program
    agent: Program
    control_path: Path
    running: contextlib.AsyncExitStack
    """Ends all of it."""
    has_damon: bool = True
    threads: set[int] = field(default_factory=set)
    """Pids of the kdamonds before its agent was killed."""

    @property
    def meter(self) -> Meter:
        """The node's memory as the expectation takes it."""
        memory = self.simulated.memory
        return Meter(
            total=memory.total_bytes,
            free=memory.free_bytes,
            available=memory.available_bytes,
            reserved=100 * 2**20,  # the kubelet's hard eviction threshold
            zone_high=memory.zone_high_bytes,
        )

    async def observe(self) -> Observation:
        """Look into the emulator."""
        return observation.read(await asyncio.to_thread(self._dump))

    async def changed_since(self, writes: int) -> list[str]:
        """Return what was written since there were so many writes, statistics left out."""
        dump = await asyncio.to_thread(self._dump, writes)
        return [
            f"{record['path']} <- {record['value']}"
            for record in dump["writes"]
            # Asks for the kernel's figures now and then; it changes nothing.
            if not str(record["value"]).startswith(("update_", "clear_"))
        ]

    def _dump(self, since_write: int = sys.maxsize) -> Mapping[str, Any]:
        control = Control(self.control_path)
        try:
            return control.do("dump", since_write=since_write, since_event=sys.maxsize)
        finally:
            control.close()


class Stage(Staged):
    """`async with Stage(...) as stage:` starts everything, and ends all of it."""

    def __init__(
        self,
        directory: Path,
        project: Path,
        *,
        transport: Transport,
        profile: str,
        metrics_port: int = 0,
    ) -> None:
        """`metrics_port`: of the operator; agents take those behind it. 0: no metrics."""
        super().__init__()
        self.directory = directory
        self.examples = project / "examples"
        self.kubeconfig = directory / "kubeconfig"
        self.transport = transport
        self.api = ApiServer()
        self.nodes: dict[str, DemoNode] = {}
        self._crds = project / "crds"
        self._profile = profile
        self._metrics_port = metrics_port
        self.operator = Program(
            "operator",
            "damon_operator",
            ("--kubeconfig", str(self.kubeconfig), "--liveness-port", "0", *self._metrics(0)),
            directory,
        )

    async def _start(self) -> None:  # type: ignore[explicit-override]  # typing.override is of 3.12
        await self._stack.enter_async_context(self.api)
        self.api.cluster.install(self._crds, self.examples / "priorityclasses.yaml")
        self.api.write_kubeconfig(self.kubeconfig)
        for name in ("node-a", "node-b"):
            self.nodes[name] = await self._node(name)
        await self._run(self.operator)

    def programs(self) -> list[Program]:
        """Everything that runs beside this process."""
        of_nodes = [p for node in self.nodes.values() for p in (node.sysfs, node.agent)]
        return [self.operator, *of_nodes]

    def expected(self, node: DemoNode) -> tuple[ExpectedPod, ...]:
        """Return what must be in the node's kernel now, under examples/tuning.yaml."""
        if not node.has_damon:
            return ()
        cluster = self.api.cluster
        decided = expectation.cluster_wide(
            cluster.list("pods"), cluster.list("priorityclasses"), cluster.list("namespaces")
        )
        pods = {}
        for pod in cluster.list("pods", fields=f"spec.nodeName={node.name}"):
            metadata = pod["metadata"]
            if metadata.get("deletionTimestamp"):
                continue
            processes = node.simulated.processes(metadata["name"], metadata["namespace"])
            shown = f"{metadata['namespace']}/{metadata['name']}"
            pods[metadata["uid"]] = (shown, frozenset(p.pid for p in processes))
        return expectation.on_node(pods, decided, node.meter)

    async def join_without_damon(self, name: str, memory: Memory) -> DemoNode:
        """Add a node whose kernel has no DAMON, and whose agent may write memory.reclaim."""
        self.nodes[name] = await self._node(name, memory, has_damon=False)
        return self.nodes[name]

    async def leave(self, name: str) -> None:
        """Take a node and its pods out of the cluster."""
        node = self.nodes.pop(name)
        for namespace, pod in list(node.simulated.kubelet.pods):
            await node.simulated.delete_pod(pod, namespace)
        await node.running.aclose()
        self.api.cluster.delete("nodes", name)

    async def _node(
        self, name: str, memory: Memory = MEMORY, *, has_damon: bool = True
    ) -> DemoNode:
        home = self.directory / name
        home.mkdir()
        running = await self._stack.enter_async_context(contextlib.AsyncExitStack())
        simulated = SimulatedNode(name, home, self.api.cluster, memory=memory)
        await running.enter_async_context(simulated)
        control = home / "control"
        served = ("--socket", str(home / "socket"))
        if self.transport == "fuse":
            (home / "sys").mkdir()
            served = ("--mount", str(home / "sys"))
        sysfs = Program(
            f"sysfs-{name}",
            "damon_mock",
            ("sysfs", "--profile", self._profile, *served, "--control", str(control),
             "--proc-root", str(simulated.proc_root), "--show-kdamonds",
             *(() if has_damon else ("--without-damon",))),
            self.directory,
        )  # fmt: skip
        await self._run(sysfs, running)
        await sysfs.until_serving()
        metrics = self._metrics(len(self.nodes) + 1) if has_damon else ()
        of_pods = ("--metrics-per-pod",) if metrics else ()
        if not has_damon:
            answer = functools.partial(cgroup_memory.answer, simulated.cgroup_memory)
            running.enter_context(Server(home / "reclaim", answer))
        module, arguments = agent_command(
            simulated, home, self.transport, memory_reclaim=not has_damon
        )
        agent = Program(
            f"agent-{name}",
            module,
            (*arguments, "--kubeconfig", str(self.kubeconfig), *of_pods, *metrics),
            self.directory,
        )
        await self._run(agent, running)
        return DemoNode(name, simulated, sysfs, agent, control, running, has_damon)

    def _metrics(self, number: int) -> tuple[str, ...]:
        """Return the arguments of the program with this number that let it serve metrics."""
        if not self._metrics_port:
            return ()
        port = str(self._metrics_port + number)
        return ("--metrics-address", "127.0.0.1", "--metrics-port", port)
