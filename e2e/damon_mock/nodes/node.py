"""A simulated node: its Node object, its kubelet, its processes, and the files that show them."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from damon_mock.kube.cluster import Cluster
from damon_mock.kube.failures import ApiFailure, Body
from damon_mock.nodes import layout
from damon_mock.nodes.cgroup_memory import CgroupMemory
from damon_mock.nodes.kubelet import Kubelet
from damon_mock.nodes.layout import RuntimeName, SwapBehavior
from damon_mock.nodes.memory import Memory
from damon_mock.nodes.pods import Container, Pod
from damon_mock.nodes.processes import Process
from damon_mock.nodes.reclaim import Held
from damon_mock.nodes.runtime import Runtime, ShimRuntime
from damon_mock.nodes.views import CgroupView, ProcView

_EVICTION_BYTES = 100 * 1024**2
"""The kubelet's default hard eviction threshold, memory.available<100Mi."""


class SimulatedNode:
    """`async with SimulatedNode("n1", directory, api.cluster) as node:` is a node of a cluster.

    `directory` gets `proc/` and `cgroup/`. Pods the API assigns to the node start and stop by
    themselves; the methods here do the same and wait until it is done. All containers end with
    the block. Pass PretendedRuntime() for numbers of pods no machine could run.
    takes_swappiness: whether its kernel knows that word of memory.reclaim (Linux 6.9).
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        cluster: Cluster,
        *,
        memory: Memory | None = None,
        labels: Mapping[str, str] | None = None,
        runtime: Runtime | None = None,
        runtime_name: RuntimeName = "containerd",
        swap: SwapBehavior = "UnlimitedSwap",
        takes_swappiness: bool = True,
        look_every_s: float = 0.05,
    ) -> None:
        self.name = name
        self.memory = memory or Memory()
        self._cluster = cluster.acting_as("kubelet")
        self._labels = dict(labels or {})
        self._runtime = runtime or ShimRuntime()
        self._runtime_name: RuntimeName = runtime_name
        self._look_every_s = look_every_s
        self._proc = ProcView(directory / "proc", boot_id=str(uuid.uuid4()))
        self.cgroup_memory = CgroupMemory(
            directory / "cgroup",
            has_swap=lambda: self.memory.swap_free_bytes > 0,
            takes_swappiness=takes_swappiness,
        )
        self._cgroups = CgroupView(directory / "cgroup", self.cgroup_memory)
        self._filled: dict[str, frozenset[int]] = {}
        self._guests: dict[int, str] = {}
        self.kubelet = Kubelet(
            name,
            self._cluster,
            self._runtime,
            self._cgroups,
            runtime_name=runtime_name,
            swap=swap,
            memory=lambda: self.memory,
            refresh=self.refresh,
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def proc_root(self) -> Path:
        """Return what stands for /proc."""
        return self._proc.root

    @property
    def cgroup_root(self) -> Path:
        """Return what stands for /sys/fs/cgroup."""
        return self._cgroups.root

    async def __aenter__(self) -> Self:
        self.set_memory(self.memory)
        await self._runtime.up()
        try:
            self.add_process(self._runtime.pid, layout.RUNTIME_CGROUP)
            self.register()
            await self.kubelet.sync_all()
            self._tasks = [
                asyncio.create_task(self.kubelet.run()),
                asyncio.create_task(self._look()),
                asyncio.create_task(self._bury()),
            ]
        except BaseException:
            await self._runtime.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runtime.close()
        self.kubelet.pods.clear()
        self._guests.clear()
        self.refresh()
        self._cgroups.clear()
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    # -- the Node object ------------------------------------------------------------------------

    def register(self) -> Body:
        """Create the Node object, or take over the one of this name."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {
                    "kubernetes.io/hostname": self.name,
                    "kubernetes.io/os": "linux",
                    **self._labels,
                },
            },
            "status": self._status(),
        }
        try:
            return self._cluster.create(manifest)
        except ApiFailure as failure:
            if failure.code != 409:
                raise
        return self._cluster.patch(
            "nodes", self.name, {"status": self._status()}, subresource="status"
        )

    def _status(self) -> Body:
        capacity = self.memory.total_bytes // 1024
        allocatable = capacity - _EVICTION_BYTES // 1024
        now = self._cluster.now()
        release = os.uname().release
        return {
            "capacity": {"memory": f"{capacity}Ki", "cpu": "4", "pods": "250"},
            "allocatable": {"memory": f"{allocatable}Ki", "cpu": "4", "pods": "250"},
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "simulated",
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
            ],
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "nodeInfo": {
                "kubeletVersion": "v1.34.0+damon-mock",
                "containerRuntimeVersion": f"{self._runtime_name}://2.1.0",
                "kernelVersion": release,
                "osImage": "simulated",
                "operatingSystem": "linux",
                "architecture": "amd64",
                "bootID": (self.proc_root / "sys/kernel/random/boot_id").read_text().strip(),
            },
        }

    def set_memory(self, memory: Memory) -> None:
        """Let the node be as full as this."""
        self.memory = memory
        memory.write(self.proc_root)

    # -- pods -----------------------------------------------------------------------------------

    async def start_pod(self, manifest: Mapping[str, Any], held: Held | None = None) -> Body:
        """Create a pod on this node; return it when its containers run and its status says so.

        held: what its cgroup holds, if not as much as those of others.
        """
        spec = {**manifest["spec"], "nodeName": self.name}
        created = self._cluster.create({**manifest, "spec": spec})
        metadata = created["metadata"]
        key = (metadata["namespace"], metadata["name"])
        await self.kubelet.sync(key)
        if held is not None:
            self.cgroup_memory.hold(self.cgroup(key[1], key[0]), held)
        return self._cluster.get("pods", key[1], key[0])

    async def delete_pod(self, name: str, namespace: str = "default") -> None:
        """Delete a pod; return when its processes are gone and so is it."""
        self._cluster.delete("pods", name, namespace)
        await self.kubelet.sync((namespace, name))

    async def restart_container(
        self, name: str, container: str = "", namespace: str = "default"
    ) -> str:
        """Restart a container (the first one by default); return its new id."""
        chosen = self._container(name, container, namespace)
        return (await self.kubelet.restart((namespace, name), chosen.name)).id

    async def fork(self, name: str, container: str = "", namespace: str = "default") -> Process:
        """Let a container's main process fork; return the child when proc/ shows it."""
        chosen = self._container(name, container, namespace)
        child = await self._runtime.fork(chosen.session)
        self.refresh()
        return next(p for p in self._runtime.processes({chosen.session}) if p.pid == child)

    async def crash(self, name: str, container: str = "", namespace: str = "default") -> None:
        """Kill a container's main process, as a bug in it would; the kubelet will notice."""
        chosen = self._container(name, container, namespace)
        await self._runtime.crash(chosen.session)

    def containers(self, name: str, namespace: str = "default") -> dict[str, str]:
        """Return the id of each running container of a pod."""
        pod = self._pod(name, namespace)
        return {container.name: container.id for container in pod.containers.values()}

    def cgroup(self, name: str, namespace: str = "default") -> Path:
        """Return the directory of a pod's cgroup."""
        return self.cgroup_root / self._pod(name, namespace).cgroup.lstrip("/")

    def processes(
        self, name: str, namespace: str = "default", *, container: str = ""
    ) -> list[Process]:
        """Return the processes of a pod's containers, looked up in the machine's own /proc.

        The sandbox and monitors do not count. It uses nothing an agent uses: not proc/ nor
        cgroup/ of this node, but the sessions the processes are in.
        """
        pod = self._pod(name, namespace)
        sessions = {c.session for c in pod.containers.values() if container in {"", c.name}}
        return self._runtime.processes(sessions)

    def overhead(self, name: str, namespace: str = "default") -> list[Process]:
        """Return what runs beside a pod's containers and must never be a target."""
        pod = self._pod(name, namespace)
        sessions = {pod.sandbox.session, *(m.session for m in pod.monitors.values())}
        return self._runtime.processes(sessions)

    def _pod(self, name: str, namespace: str) -> Pod:
        return self.kubelet.pods[namespace, name]

    def _container(self, name: str, container: str, namespace: str) -> Container:
        containers = self._pod(name, namespace).containers
        return containers[container] if container else next(iter(containers.values()))

    # -- what proc/ and cgroup/ show --------------------------------------------------------------

    def add_process(self, pid: int, cgroup: str) -> None:
        """Show a process of somebody else on this node, until it ends: the agent, the kubelet."""
        self._guests[pid] = cgroup
        self.refresh()

    def refresh(self) -> None:
        """Bring proc/ and cgroup/ up to what runs."""
        members = self._runtime.members()
        shown: dict[int, str] = {}
        for container in self._sessions():
            pids = frozenset(members.get(container.session, ()))
            shown |= dict.fromkeys(pids, container.cgroup)
            if self._filled.get(container.cgroup, frozenset()) != pids:
                self._filled[container.cgroup] = pids
                self._cgroups.fill(container.cgroup, pids)
        present = {c.cgroup for c in self._sessions()}
        self._filled = {cg: pids for cg, pids in self._filled.items() if cg in present}
        shown |= {pid: cg for pid, cg in self._guests.items() if Path(f"/proc/{pid}").exists()}
        for pid in self._proc.shown - shown.keys():
            self._proc.hide(pid)
        for pid in shown.keys() - self._proc.shown:
            self._proc.show(pid, shown[pid], self._runtime)

    def _sessions(self) -> list[Container]:
        return [c for pod in self.kubelet.pods.values() for c in pod.sessions()]

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            self.refresh()

    async def _bury(self) -> None:
        while True:
            session = await self._runtime.exits.get()
            with contextlib.suppress(KeyError):
                await self.kubelet.exited(session)
