"""A worker node in a virtual machine: joins the cluster, loses power, and returns."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from harness.api import Api, eventually
from vm.channel import GuestError
from vm.machine import Machine, Running
from vmnode.control_plane import ControlPlane
from vmnode.network import Network

NAME: Final = "virtual-machine"
LABEL: Final = "damon-operator.io/real-kernel"
"""Agents of the cluster run where this is "true", and only there."""
READY_S: Final = 300.0
_START_S: Final = 240.0
_ATTEMPTS: Final = 3


@dataclass(slots=True)
class VmNode:
    """The node, and the machine that is on behind it."""

    api: Api
    control_plane: ControlPlane
    network: Network
    machine: Machine
    running: Running | None = None

    def join(self, state: Mapping[str, bytes] | None = None) -> None:
        """Switch it on and wait until this boot of it is Ready; set-up may be tried again.

        `state`: files that are in the machine before any pod runs, by their absolute paths.
        """
        pod_range = self._pod_range()
        self.control_plane.route(pod_range, str(self.network.address.ip))
        for attempt in range(1, _ATTEMPTS + 1):
            running = self.machine.boot()
            self.running = running
            try:
                self._start(running, pod_range, state or {})
                eventually(f"{NAME} is Ready in this boot", self._is_ready, READY_S)
            except (AssertionError, GuestError) as error:
                print(f"node, attempt {attempt}: {error}\n{self.explain()}", file=sys.stderr)
                self.power_cut()
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    def power_cut(self) -> None:
        """Switch it off from one instruction to the next; nothing it wrote stays."""
        if self.running is not None:
            self.running.power_off()
            self.running = None

    def leave(self) -> None:
        """Switch it off and take the node, and its pods, out of the cluster."""
        self.power_cut()
        for pod in self.api.get("pods"):
            if pod["spec"].get("nodeName") == NAME:
                metadata = pod["metadata"]
                # Nobody is left to confirm that a pod has ended.
                self.api.delete_now("pods", metadata["name"], metadata["namespace"])
        self.api.delete("nodes", NAME)

    @property
    def on(self) -> Running:
        """Return the machine that is on."""
        if self.running is None:
            raise GuestError(f"{NAME} is off")
        return self.running

    def explain(self) -> str:
        """Return the end of everything the machine said."""
        if self.running is None:
            return ""
        try:
            logs = self.running.shell("tail -n 40 /var/log/*.log", check=False)
        except GuestError as error:
            logs = str(error)
        return f"{self.running.console_tail()}\n{logs}"

    def _pod_range(self) -> str:
        """Make the node's object, or find it: its range is known before the machine is on."""
        if self.api.find("nodes", NAME) is None:
            metadata = {"name": NAME, "labels": {LABEL: "true"}}
            self.api.create("nodes", {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        return eventually(
            f"{NAME} has a range for its pods",
            lambda: str(self.api.get("nodes", NAME)["spec"].get("podCIDR", "")),
        )

    def _start(self, running: Running, pod_range: str, state: Mapping[str, bytes]) -> None:
        plane, address = self.control_plane, self.network.address.ip
        settings = {
            "NODE_NAME": NAME,
            "NODE_IP": str(address),
            "POD_RANGE": pod_range,
            "ROUTES": f"{plane.pod_range}={plane.address}",
        }
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in settings.items()]
        # kube-proxy is told the control plane's name, and there is no DNS.
        names = {"127.0.0.1": "localhost", str(address): NAME, plane.address: plane.name}
        for path, text in state.items():
            running.put(path, text)
        running.put("/run/node/settings", "".join(lines))
        running.put("/run/node/hosts", "".join(f"{ip} {name}\n" for ip, name in names.items()))
        running.put("/run/node/ca.crt", plane.authority())
        running.put("/run/node/bootstrap.kubeconfig", plane.bootstrap_kubeconfig(), mode=0o600)
        running.run("/opt/node/start", timeout_s=_START_S)

    def _is_ready(self) -> bool:
        """Tell by the boot's id: a node is called Ready for 40 s after its machine is gone."""
        status = self.api.get("nodes", NAME)["status"]
        conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
        boot = self.on.read("/proc/sys/kernel/random/boot_id")
        seen = status.get("nodeInfo", {}).get("bootID")
        return seen == boot and conditions.get("Ready") == "True"
