"""The stage of the demo: an API server, two nodes with a mock sysfs each, operator and agents."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from damon_mock.damon.control import Control
from damon_mock.kube.server import ApiServer
from damon_mock.nodes.memory import GIB, Memory
from damon_mock.nodes.node import SimulatedNode

from . import expectation, observation
from .expectation import ExpectedPod, Meter
from .observation import Observation
from .programs import Program

Transport = Literal["fuse", "socket"]

_STARTING_S: Final = 15.0
_MEMORY: Final = Memory(
    total_bytes=16 * GIB, free_bytes=5 * GIB, available_bytes=6 * GIB, zone_high_bytes=96 * 2**20
)


@dataclass
class DemoNode:
    """A simulated node, its mock sysfs and its agent."""

    name: str
    simulated: SimulatedNode
    sysfs: Program
    agent: Program
    control_path: Path
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


class Stage:
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
        self.directory = directory
        self.examples = project / "examples"
        self.kubeconfig = directory / "kubeconfig"
        self.transport = transport
        self.api = ApiServer()
        self.nodes: dict[str, DemoNode] = {}
        self._crds = project / "crds"
        self._profile = profile
        self._metrics_port = metrics_port
        self._stack = contextlib.AsyncExitStack()
        self.operator = Program(
            "operator",
            "damon_operator",
            ("--kubeconfig", str(self.kubeconfig), "--liveness-port", "0", *self._metrics(0)),
            directory,
        )

    async def __aenter__(self) -> Self:
        try:
            await self._stack.enter_async_context(self.api)
            self.api.cluster.install(self._crds, self.examples / "priorityclasses.yaml")
            self.api.write_kubeconfig(self.kubeconfig)
            for name in ("node-a", "node-b"):
                self.nodes[name] = await self._node(name)
            await self._run(self.operator)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def programs(self) -> list[Program]:
        """Everything that runs beside this process."""
        of_nodes = [p for node in self.nodes.values() for p in (node.sysfs, node.agent)]
        return [self.operator, *of_nodes]

    def expected(self, node: DemoNode) -> tuple[ExpectedPod, ...]:
        """Return what must be in the node's kernel now, under examples/tuning.yaml."""
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

    async def _node(self, name: str) -> DemoNode:
        home = self.directory / name
        home.mkdir()
        simulated = SimulatedNode(name, home, self.api.cluster, memory=_MEMORY)
        await self._stack.enter_async_context(simulated)
        control = home / "control"
        served: tuple[str, ...]
        if self.transport == "fuse":
            (home / "sys").mkdir()
            served = ("--mount", str(home / "sys"))
            module = "damon_agent"
            prefix: tuple[str, ...] = (
                *("--damon-root", str(home / "sys/damon")),
                *("--module-root", str(home / "sys/module")),
            )
        else:
            served = ("--socket", str(home / "socket"))
            module, prefix = "damon_mock", ("agent", "--socket", str(home / "socket"), "--")
        proc = str(simulated.proc_root)
        sysfs = Program(
            f"sysfs-{name}",
            "damon_mock",
            ("sysfs", "--profile", self._profile, *served, "--control", str(control),
             "--proc-root", proc, "--show-kdamonds"),
            self.directory,
        )  # fmt: skip
        await self._run(sysfs)
        await self._until_served(sysfs)
        of_pods = ("--metrics-per-pod",) if self._metrics_port else ()
        agent = Program(
            f"agent-{name}",
            module,
            (*prefix, "--node-name", name, "--kubeconfig", str(self.kubeconfig),
             "--proc-root", proc, "--cgroup-root", str(simulated.cgroup_root),
             "--state-dir", str(home / "state"), *of_pods, *self._metrics(len(self.nodes) + 1)),
            self.directory,
        )  # fmt: skip
        await self._run(agent)
        return DemoNode(name, simulated, sysfs, agent, control)

    def _metrics(self, number: int) -> tuple[str, ...]:
        """Return the arguments of the program with this number that let it serve metrics."""
        if not self._metrics_port:
            return ()
        port = str(self._metrics_port + number)
        return ("--metrics-address", "127.0.0.1", "--metrics-port", port)

    async def _run(self, program: Program) -> None:
        self._stack.push_async_callback(program.stop)
        await program.start(os.environ)

    async def _until_served(self, sysfs: Program) -> None:
        async with asyncio.timeout(_STARTING_S):
            while "serving" not in sysfs.tail():
                sysfs.check()
                await asyncio.sleep(0.02)
