"""The agent in its container: as its image says, as confined as the chart has it."""

import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests_kernel.containers import Container, Containers, Pod
from tests_kernel.node import DAMON, Node
from tests_kernel.plans import NODE_NAME, Plans
from tests_kernel.waiting import until

STATE: Final = "/run/damon-operator"
_CREDENTIALS: Final = "/run/service-account"
_IN_POD: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_MEMORY_LIMIT_BYTES: Final = 128 << 20
"""As the chart has it."""
# What containerd gives by default, none of which the agent needs.
_CAPABILITIES: Final = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
    "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip


class Agent:
    """Start, kill, start again; it finds its state in the node's directory."""

    def __init__(
        self, node: Node, containers: Containers, plans: Plans, image: Mapping[str, Any]
    ) -> None:
        self._node = node
        self._containers = containers
        self._plans = plans
        self._image = image
        self._pod = Pod("damon-agent", 100)
        self._container: Container | None = None

    @property
    def pid(self) -> int:
        """Return its pid in the machine."""
        assert self._container is not None, "the agent does not run"
        return self._container.pid

    @property
    def runs(self) -> bool:
        """Tell whether it was started and not ended since."""
        return self._container is not None

    def start(
        self,
        *arguments: str,
        mounts: Sequence[tuple[str, str, str]] = (),
        cgroup: str = "ro",
        damon: str = DAMON,
    ) -> None:
        """Start it as the chart does; more arguments and mounts as values would add them.

        `cgroup`: how the cgroup tree is mounted. `damon`: the directory for DAMON's.
        """
        guest = self._node.guest
        guest.run("mkdir", "-p", STATE)
        guest.put(f"{_CREDENTIALS}/token", self._plans.token)
        guest.put(f"{_CREDENTIALS}/ca.crt", self._plans.authority_pem)
        guest.put(f"{_CREDENTIALS}/namespace", "damon-system")
        host, port = self._plans.address
        environment = [
            *self._image["Env"],
            f"NODE_NAME={NODE_NAME}",
            f"KUBERNETES_SERVICE_HOST={host}",
            f"KUBERNETES_SERVICE_PORT={port}",
        ]
        options = ["--net-host", "--with-ns", "pid:/proc/1/ns/pid"]
        options += ["--memory-limit", str(_MEMORY_LIMIT_BYTES), "--user", self._image["User"]]
        for variable in environment:
            options += ["--env", variable]
        for capability in _CAPABILITIES:
            options += ["--cap-drop", f"CAP_{capability}"]
        self._container = self._containers.run(
            [
                *self._image["Entrypoint"],
                "--damon-root=/host/damon",
                "--cgroup-root=/host/cgroup",
                "--state-dir=/var/lib/damon-operator",
                "--driver=lanes",
                "--log-level=info",
                *arguments,
            ],
            pod=self._pod,
            mounts=[
                (damon, "/host/damon", "rw"),
                ("/sys/fs/cgroup", "/host/cgroup", cgroup),
                (STATE, "/var/lib/damon-operator", "rw"),
                (_CREDENTIALS, _IN_POD, "ro"),
                *mounts,
            ],
            options=options,
        )

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal that ends it, wait until it is gone, and clear its container away."""
        container = self._container
        assert container is not None, "the agent does not run"
        self._node.guest.kill(container.pid, number)
        until("the agent is gone", lambda: not self._node.is_alive(container.pid))
        self._containers.end(container)
        self._container = None

    def stop(self) -> None:
        """End it as the kubelet does, if it runs."""
        if self.runs:
            self.kill(signal.SIGTERM)

    def log(self) -> str:
        """Return what it has said, in all its lives."""
        return self._containers.log(self._pod)
