"""The stage: an API server, four nodes with a kernel each, two operators, four agents."""

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any, Final

import yaml
from aiohttp import web

from damon_mock.damon import fuse
from damon_mock.damon.wire import Connections
from damon_mock.demo.programs import MEMORY, Staged, Transport, agent_command
from damon_mock.kube.failures import ApiFailure
from damon_mock.kube.server import ApiServer
from damon_mock.kube.store import Revision, Store
from damon_mock.nodes.node import SimulatedNode
from soak.program import Watched
from soak.wire import Wire

PROFILES: Final = ("6.1", "6.12", "6.18", "7.2")
PAPER_NODES: Final = ("paper-a", "paper-b", "paper-c")
"""Nodes that exist in the API alone, for the churn of objects."""
NAMESPACES: Final = {"shop": {}, "builds": {"purpose": "ci"}, "team-a": {}, "damon-system": {}}
_EVENTS: Final = logging.getLogger("soak.events")
"""One line per event: for the file, not for the terminal."""
_STATE_KIB: Final = 512


class Api(ApiServer):
    """An API server that can also answer every watch with 200 and nothing, and go back in time."""

    blind = False

    async def _watch(self, request: Any, noted: Any, target: Any, accept: str) -> Any:  # type: ignore[explicit-override]  # typing.override is of 3.12
        if not self.blind:
            return await super()._watch(request, noted, target, accept)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write_eof()
        noted.status = 200
        return response

    def photograph(self) -> tuple[int, dict[str, dict[Any, Revision]]]:
        """Return what the store holds; bodies are never changed, so it costs nothing."""
        store = self.registry.store
        return store.version, {name: dict(each.objects) for name, each in store.collections()}

    async def restore(self, photograph: tuple[int, dict[str, dict[Any, Revision]]]) -> None:
        """Come back as of then, versions included, as after a restore of etcd."""
        await self.down()
        store: Store = self.registry.store
        version, held = photograph
        _EVENTS.info("the store goes back from version %d to %d", store.version, version)
        for name, collection in store.collections():
            collection.objects = dict(held.get(name, {}))
        store.version = version
        store.compact()
        await self.up()


class Node:
    """A simulated node, its kernel and its agent."""

    def __init__(self, name: str, profile: str, home: Path, api: ApiServer) -> None:
        self.name = name
        self.profile = profile
        self.home = home
        self.state = home / "state"
        self.has_small_disk = False
        self.simulated = SimulatedNode(name, home, api.cluster, memory=MEMORY, look_every_s=0.2)
        self.wire = Wire(api.port)
        self.kernel: Watched
        self.agent: Watched
        self._control = Connections(home / "control")

    async def ask(self, verb: str, **keys: Any) -> dict[str, Any]:
        """Ask the emulated kernel."""
        answer = await asyncio.to_thread(self._control.ask, {"do": verb, **keys})
        if verb != "look":
            _EVENTS.info("%s: %s %s -> %s", self.name, verb, keys, answer)
        return answer

    def small_disk(self) -> None:
        """Give the state directory a disk of its own, if we may."""
        self.state.mkdir()
        if os.geteuid() == 0:
            options = f"size={_STATE_KIB}k"
            command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.state)]
            mounted = subprocess.run(command, check=False, capture_output=True)  # noqa: S603
            self.has_small_disk = not mounted.returncode

    def close(self) -> None:
        """Give the disk back."""
        self._control.close()
        if self.has_small_disk:
            command = ["umount", "-l", str(self.state)]
            subprocess.run(command, check=False, capture_output=True)  # noqa: S603

    def new_boot(self) -> None:
        """Show another boot id."""
        path = self.home / "proc/sys/kernel/random/boot_id"
        path.write_text(f"{uuid.uuid4()}\n", encoding="utf-8")


class Stage(Staged):
    """`async with Stage(...)` starts everything and ends all of it."""

    def __init__(self, project: Path, logs: Path, log: logging.Logger) -> None:
        super().__init__()
        self.log = log
        self.api = Api()
        self.nodes: list[Node] = []
        self.operators: list[Watched] = []
        self.wires: list[Wire] = []
        self.transport: Transport = "socket" if fuse.missing() else "fuse"
        self.api_lock = asyncio.Lock()
        """Held by whoever does something to the whole API server."""
        self.tuning_lock = asyncio.Lock()
        """Held by whoever changes the mode of the tuning."""
        self.churn: Any = None
        """The pods of this run, soak.pods.Churn."""
        self.problems: list[str] = []
        """What did not hold."""
        self._project = project
        self._logs = logs
        shared = "/dev/shm"  # noqa: S108 - mkdtemp makes a private directory below it
        where = shared if os.access(shared, os.W_OK) else None
        self.directory = Path(tempfile.mkdtemp(prefix="damon-soak-", dir=where))

    async def _start(self) -> None:  # type: ignore[explicit-override]  # typing.override is of 3.12
        await self._stack.enter_async_context(self.api)
        cluster = self.api.cluster
        cluster.install(self._project / "crds", self._project / "examples/priorityclasses.yaml")
        for name, labels in NAMESPACES.items():
            cluster.create(_manifest("Namespace", name, labels))
        for name in PAPER_NODES:
            cluster.create(_manifest("Node", name, {"kubernetes.io/os": "linux"}))
        for index, profile in enumerate(PROFILES):
            self.nodes.append(await self._node(f"node-{'abcd'[index]}", profile))
        for index in range(2):
            await self._operator(f"operator-{index}")

    def complain(self, problem: str) -> None:
        """Note something that did not hold, once; the run goes on."""
        if problem not in self.problems:
            self.problems.append(problem)
            self.log.error("NOT HELD: %s", problem)

    def set_mode(self, mode: str) -> None:
        """Change the mode of the tuning; what the API server refuses is left."""
        _EVENTS.info("mode %s", mode)
        with contextlib.suppress(ApiFailure):
            self.api.cluster.patch("dt", "default", {"spec": {"mode": mode}})

    @property
    def agents(self) -> list[Watched]:
        """The agents."""
        return [node.agent for node in self.nodes]

    @property
    def product(self) -> list[Watched]:
        """Operators and agents."""
        return [*self.operators, *self.agents]

    def tuning(self) -> dict[str, Any]:
        """Return the manifest of the tuning."""
        text = (self._project / "examples/tuning.yaml").read_text(encoding="utf-8")
        manifest: dict[str, Any] = yaml.safe_load(text)
        return manifest

    async def _wired(self, name: str, wire: Wire) -> Path:
        await wire.up()
        self._stack.push_async_callback(wire.down)
        self.wires.append(wire)
        config = self.api.kubeconfig()
        config["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{wire.port}"
        path = self.directory / f"{name}.kubeconfig"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    async def _operator(self, name: str) -> None:
        kubeconfig = await self._wired(name, Wire(self.api.port))
        arguments = (
            *("--kubeconfig", str(kubeconfig), "--identity", name, "--leader-elect"),
            *("--liveness-port", "0"),
        )
        operator = Watched(name, "damon_operator", arguments, self._logs)
        self.operators.append(operator)
        await self._run(operator)

    async def _node(self, name: str, profile: str) -> Node:
        home = self.directory / name
        home.mkdir()
        (home / "sys").mkdir()
        node = Node(name, profile, home, self.api)
        self._stack.callback(node.close)
        node.small_disk()
        await self._stack.enter_async_context(node.simulated)
        given = ("--profile", profile, "--home", str(home), "--transport", self.transport)
        node.kernel = Watched(f"kernel-{name}", "soak.kernel", given, self._logs)
        await self._run(node.kernel)
        await node.kernel.until_serving()
        kubeconfig = await self._wired(name, node.wire)
        module, arguments = agent_command(node.simulated, home, self.transport)
        arguments = (*arguments, "--kubeconfig", str(kubeconfig), "--disable-damon-stat")
        node.agent = Watched(f"agent-{name}", module, arguments, self._logs)
        await self._run(node.agent)
        return node


def _manifest(kind: str, name: str, labels: dict[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels}
    }  # fmt: skip
    if kind == "Node":
        body["status"] = {"capacity": {"memory": "64Gi"}, "allocatable": {"memory": "63Gi"}}
    return body
