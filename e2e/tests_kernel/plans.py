"""Plans for the machine: an API server on this machine, and the DamonNode in it."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Self

from tests_kernel.containers import Pod
from tests_kernel.waiting import until
from vm.machine import HOST_ADDRESS

from damon_contract import names
from damon_contract.v1alpha1.node import DamonNodeSpec, PlannedContainer, PlannedPod
from damon_contract.v1alpha1.tuning import Mode, Settings
from damon_mock.kube.server import ApiServer
from damon_mock.kube.threads import ApiThread
from damon_mock.kube.tls import Authority

NODE_NAME: Final = "guest"
TOKEN: Final = "token-of-the-agent"
CRDS: Final = Path(__file__).parents[2] / "crds"

Body = dict[str, Any]


def settings(**changes: Any) -> Settings:
    """Return settings as quick as they may be: 9 samples a second, cold after 6 s.

    Nobody is spared: a test says so if it is about that.
    """
    given: Body = {
        "monitoring": {
            "sampleInterval": "110ms",
            "aggregationInterval": "980ms",
            "updateInterval": "1s",
        },
        "reclaim": {"minAge": "6s"},
        "watermarks": {"interval": "1s", "floorPermille": 150, "ceilingPermille": 600},
        "brake": {"enabled": False},
    }
    return Settings.model_validate(given | changes)


class Plans:
    """`with Plans(directory) as plans:` serves; `apply` says what is to be."""

    def __init__(self, directory: Path) -> None:
        self._authority = Authority.make(directory, ("127.0.0.1", HOST_ADDRESS))
        self._server = ApiServer(authority=self._authority)
        self._server.faults.rotate_token(TOKEN)
        self._thread = ApiThread(self._server)
        self.token = TOKEN
        self.authority_pem = self._authority.certificate_pem

    def __enter__(self) -> Self:
        self._thread.__enter__()
        self._thread.call(self._server.cluster.install, CRDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.__exit__(None, None, None)

    @property
    def address(self) -> tuple[str, int]:
        """Return where the machine reaches the server."""
        return HOST_ADDRESS, self._server.port

    def apply(
        self,
        pods: Iterable[Pod],
        *,
        mode: Mode = "Enforce",
        chosen: Settings | None = None,
        reserved_bytes: int = 0,
    ) -> None:
        """Make these pods, with the containers they have now, the plan."""
        spec = DamonNodeSpec(
            tuning="test",
            mode=mode,
            settings=chosen or settings(),
            hash="",
            reserved_bytes=reserved_bytes,
            pods=tuple(_planned(pod) for pod in pods),
        )
        body = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
        body["hash"] = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32]
        self._thread.call(
            self._server.cluster.apply,
            {
                "apiVersion": names.API_VERSION,
                "kind": names.NODE_KIND,
                "metadata": {"name": NODE_NAME},
                "spec": body,
            },
            manager=names.OPERATOR_FIELD_MANAGER,
            force=True,
        )

    def applied(self, pods: Iterable[Pod], **how: Any) -> None:
        """Make these pods the plan and wait until the agent says that it is in the kernel."""
        self.apply(pods, **how)
        self.until_condition("Applied", "True")

    def remove(self) -> None:
        """Take the plan away, if there is one."""
        if self._object() is not None:
            self._thread.call(self._server.cluster.delete, names.NODE_PLURAL, NODE_NAME)

    def status(self) -> Body:
        """Return what the agent says of the plan as it is now; empty if nothing yet."""
        found = self._object() or {}
        status: Body = found.get("status", {})
        if status.get("observedGeneration") != found.get("metadata", {}).get("generation"):
            return {}
        return status

    def condition(self, kind: str) -> Body:
        """Return a condition of the plan as it is now; empty if there is none yet."""
        for condition in self.status().get("conditions", ()):
            if condition["type"] == kind:
                found: Body = condition
                return found
        return {}

    def until_condition(self, kind: str, status: str, reason: str = "") -> Body:
        """Wait for a condition of the plan as it is now."""

        def look() -> Body:
            found = self.condition(kind)
            matches = found.get("status") == status and reason in {"", found.get("reason")}
            return found if matches else {}

        return until(f"the agent says {kind} {status} {reason}", look)

    def _object(self) -> Body | None:
        return self._thread.call(self._server.cluster.find, names.NODE_PLURAL, NODE_NAME)


def _planned(pod: Pod) -> PlannedPod:
    return PlannedPod(
        namespace="default",
        name=pod.name,
        uid=pod.uid,
        priority=pod.priority,
        source="annotation",
        containers=tuple(
            PlannedContainer(name=f"c{index}", id=container.id)
            for index, container in enumerate(pod.containers)
        ),
    )
