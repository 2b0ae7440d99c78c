"""The kubelet: runs what the API says should run on its node, and reports."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

from damon_mock.kube.cluster import Cluster
from damon_mock.nodes import layout, pods
from damon_mock.nodes.layout import RuntimeName, SwapBehavior
from damon_mock.nodes.memory import Memory
from damon_mock.nodes.pods import Body, Container, Pod
from damon_mock.nodes.runtime import Runtime
from damon_mock.nodes.views import CgroupView

Key = tuple[str, str]
_FINISHED: Final = frozenset({"Succeeded", "Failed"})


class Kubelet:
    """Level-based: `sync` compares one pod with what runs of it, and does the difference."""

    def __init__(
        self,
        node: str,
        cluster: Cluster,
        runtime: Runtime,
        cgroups: CgroupView,
        *,
        runtime_name: RuntimeName,
        swap: SwapBehavior,
        memory: Callable[[], Memory],
        refresh: Callable[[], None],
    ) -> None:
        self.pods: dict[Key, Pod] = {}
        self._node = node
        self._cluster = cluster
        self._runtime = runtime
        self._cgroups = cgroups
        self._runtime_name: RuntimeName = runtime_name
        self._swap: SwapBehavior = swap
        self._memory = memory
        self._refresh = refresh
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Follow the API until cancelled; a broken watch begins again with everything."""
        fields = f"spec.nodeName={self._node}"
        while True:
            changes = self._cluster.changes("pods", fields=fields)
            async with contextlib.aclosing(changes):
                await self.sync_all()
                async for change in changes:
                    metadata = change.after.body["metadata"]
                    await self.sync((metadata["namespace"], metadata["name"]))

    async def sync_all(self) -> None:
        """Sync what should run and what does."""
        fields = f"spec.nodeName={self._node}"
        bodies = self._cluster.list("pods", fields=fields)
        keys = {(b["metadata"]["namespace"], b["metadata"]["name"]) for b in bodies}
        for key in sorted(keys | set(self.pods)):
            await self.sync(key)

    async def sync(self, key: Key) -> None:
        """Start or stop one pod, or do nothing."""
        async with self._lock:
            body = self._cluster.find("pods", key[1], key[0])
            pod = self.pods.get(key)
            gone = body is None or body["metadata"].get("deletionTimestamp")
            if pod and (gone or body is None or body["metadata"]["uid"] != pod.uid):
                await self._stop(key, pod)
                pod = None
            if body is None or body["spec"].get("nodeName") != self._node:
                return
            if gone:
                self._remove(key, body["metadata"]["uid"])
            elif pod is not None:
                self._report_anew(pod, body)
            elif body.get("status", {}).get("phase") not in _FINISHED:
                await self._start(key, body)

    async def exited(self, session: int) -> None:
        """React to the end of a container's main process: restart it, or let the pod fail."""
        async with self._lock:
            for pod in self.pods.values():
                for container in list(pod.containers.values()):
                    if container.session == session:
                        await self._after_exit(pod, container)
                        return

    async def restart(self, key: Key, name: str) -> Container:
        """End a container and start it anew, with another id."""
        async with self._lock:
            pod = self.pods[key]
            await self._after_exit(pod, pod.containers[name], always=True)
            return pod.containers[name]

    # -- starting and stopping ----------------------------------------------------------------

    async def _start(self, key: Key, body: Body) -> None:
        spec, qos_class = body["spec"], body["status"]["qosClass"]
        uid = body["metadata"]["uid"]
        cgroup = layout.pod_cgroup(uid, qos_class)
        pause = await self._session("pause", layout.new_id(), cgroup, swap_max="max")
        always = spec.get("restartPolicy") != "Never"
        pod = Pod(uid, *key, qos_class, cgroup, restarts_containers=always, sandbox=pause)
        self.pods[key] = pod
        for wanted in pods.wanted_containers(spec):
            await self._start_container(pod, wanted)
        self._refresh()
        self._report(pod, spec)

    async def _start_container(self, pod: Pod, wanted: Any, restarts: int = 0) -> None:
        name, identifier = wanted["name"], layout.new_id()
        memory = self._memory()
        swap_max = layout.swap_max(
            self._swap,
            pod.qos_class,
            requested=pods.requested_bytes(wanted),
            capacity=memory.total_bytes,
            swap_total=memory.swap_total_bytes,
        )
        if self._runtime_name == "cri-o":
            monitor = layout.monitor_cgroup(pod.cgroup, identifier)
            pod.monitors[name] = await self._started("conmon", identifier, monitor, "max")
        pod.containers[name] = await self._session(
            name, identifier, pod.cgroup, swap_max=swap_max, restarts=restarts
        )

    async def _session(
        self, name: str, identifier: str, pod_cgroup: str, *, swap_max: str, restarts: int = 0
    ) -> Container:
        cgroup = layout.container_cgroup(pod_cgroup, identifier, self._runtime_name)
        started = await self._started(name, identifier, cgroup, swap_max)
        started.restarts = restarts
        return started

    async def _started(self, name: str, identifier: str, cgroup: str, swap_max: str) -> Container:
        self._cgroups.add(cgroup, swap_max=swap_max)
        session = await self._runtime.start(name)
        return Container(name, identifier, session, cgroup, self._cluster.now())

    async def _stop(self, key: Key, pod: Pod) -> None:
        for container in pod.sessions():
            await self._runtime.end(container.session)
        del self.pods[key]
        self._refresh()
        for container in pod.sessions():
            self._cgroups.remove(container.cgroup)

    def _remove(self, key: Key, uid: str) -> None:
        """Take the pod out of the API, unless another one has its name by now."""
        if self._is_current(key, uid):
            self._cluster.delete("pods", key[1], key[0], grace_seconds=0)

    def _is_current(self, key: Key, uid: str) -> bool:
        body = self._cluster.find("pods", key[1], key[0])
        return body is not None and body["metadata"]["uid"] == uid

    async def _after_exit(self, pod: Pod, container: Container, *, always: bool = False) -> None:
        body = self._cluster.find("pods", pod.name, pod.namespace)
        monitor = pod.monitors.get(container.name)
        all_ended = [ended for ended in (container, monitor) if ended]
        for ended in all_ended:
            await self._runtime.end(ended.session)
        del pod.containers[container.name]
        pod.monitors.pop(container.name, None)
        self._refresh()
        for ended in all_ended:
            self._cgroups.remove(ended.cgroup)
        if body is None or body["metadata"]["uid"] != pod.uid:
            return
        spec = body["spec"]
        if always or pod.restarts_containers:
            wanted = next(c for c in pods.wanted_containers(spec) if c["name"] == container.name)
            await self._start_container(pod, wanted, container.restarts + 1)
            self._refresh()
        else:
            pod.failed = True
        self._report(pod, spec)

    def _report_anew(self, pod: Pod, body: Body) -> None:
        """Say again what the API has lost: its store may have been restored to before that."""
        says = pods.status(pod, body["spec"], self._runtime_name, self._cluster.now())
        if pods.running_ids(body.get("status", {})) != pods.running_ids(says):
            self._report(pod, body["spec"])

    def _report(self, pod: Pod, spec: Body) -> None:
        if not self._is_current((pod.namespace, pod.name), pod.uid):
            return
        said = pods.status(pod, spec, self._runtime_name, self._cluster.now())
        change = {"status": said}
        self._cluster.patch("pods", pod.name, change, namespace=pod.namespace, subresource="status")
