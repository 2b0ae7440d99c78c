"""Facts to plan with; every argument that a test does not care about has a default."""

import hashlib
from collections.abc import Callable

import pytest

from damon_contract.v1alpha1.tuning import DamonTuningSpec
from damon_operator.facts import Container, Node, Pod, Tuning


def container_id(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@pytest.fixture(name="pod", scope="session")
def make_pod() -> Callable[..., Pod]:
    def make(name: str = "web", *, labels: dict[str, str] | None = None, **fields) -> Pod:
        namespace = fields.pop("namespace", "default")
        values = {
            "uid": f"uid-{namespace}-{name}",
            "node": "n1",
            "asked": None,
            "exempt": False,
            "priority": 0,
            "priority_class": "",
            "qos": "Burstable",
            "phase": "Running",
            "runtime_class": "",
            "containers": (Container("main", container_id(f"{namespace}/{name}")),),
        }
        sorted_labels = tuple(sorted((labels or {}).items()))
        return Pod(namespace=namespace, name=name, labels=sorted_labels, **{**values, **fields})

    return make


@pytest.fixture(name="node", scope="session")
def make_node() -> Callable[..., Node]:
    def make(name: str = "n1", *, reserved_bytes: int = 0, **labels: str) -> Node:
        return Node(name, f"uid-{name}", tuple(sorted(labels.items())), reserved_bytes)

    return make


@pytest.fixture(name="tuning", scope="session")
def make_tuning() -> Callable[..., Tuning]:
    def make(name: str = "all", *, created: str = "2026-01-01T00:00:00Z", **spec) -> Tuning:
        return Tuning(
            name=name,
            uid=f"uid-{name}",
            version="1",
            generation=1,
            created=created,
            spec=DamonTuningSpec.model_validate(spec),
            problem="",
            status=None,
        )

    return make
