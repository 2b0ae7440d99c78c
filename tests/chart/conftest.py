"""Every helm that is to be found, and what it makes of the chart."""

import copy
import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm/damon-operator"
NAMESPACE = "damon-system"
KUBERNETES = "1.36.4"
"""Said to helm, as a helm built from its Go module knows no version of Kubernetes."""
EVERYTHING = (
    "metrics.enabled=true",
    "metrics.assumeMonitoringApi=true",
    "metrics.serviceMonitor.enabled=true",
    "metrics.podMonitor.enabled=true",
    "metrics.prometheusRule.enabled=true",
    "metrics.dashboard.enabled=true",
    "crds.enabled=false",
)
"""Values with which there is every object but the CRDs, which are long and the same with all."""

NO_HELM = (
    "no helm: put helm 4 or 3 on PATH, name one in the environment variable HELM, or let the "
    "cluster harness build both (make kind-up)"
)


@functools.cache
def helms() -> list[Path]:
    """Return every helm, by major version: HELM, PATH, then the newest of the harness's caches."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    caches = sorted((home / "damon-operator/kind").glob("*/bin"), key=lambda p: p.stat().st_mtime)
    if "KIND_CACHE" in os.environ:
        caches.append(Path(os.environ["KIND_CACHE"]) / "bin")
    candidates = [os.environ.get("HELM"), shutil.which("helm"), shutil.which("helm3")]
    candidates += [str(cache / name) for cache in reversed(caches) for name in ("helm", "helm3")]
    found: dict[str, Path] = {}
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            said = subprocess.run(
                [candidate, "version", "--short"], check=True, capture_output=True, text=True
            )
            found.setdefault(said.stdout.split(".")[0], Path(candidate))
    return [found[major] for major in sorted(found, reverse=True)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `helm` runs with every one there is."""
    if "helm" in metafunc.fixturenames:
        skip = pytest.param(None, marks=pytest.mark.skip(reason=NO_HELM), id="no-helm")
        metafunc.parametrize("helm", helms() or [skip], ids=lambda path: path and path.name)


def _run(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], check=False, capture_output=True, text=True)


def _template(
    helm: Path, *values: str, release: str = "damon-operator", namespace: str = NAMESPACE
):
    """Run `helm template` with `--set-json path=value` for each of `values`."""
    chosen = [argument for value in values for argument in ("--set-json", value)]
    return _run(
        helm,
        *("template", release, str(CHART), "--namespace", namespace),
        *("--kube-version", KUBERNETES, *chosen),
    )


@functools.cache
def _objects(text: str) -> list[dict[str, Any]]:
    """Return the objects of a rendering; the CRDs in it make this worth remembering."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [o for o in yaml.load_all(text, Loader=loader) if o]


def _leaves(value: dict[str, Any] | list[Any], path: str) -> Iterator[tuple[str, object]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts:
        if isinstance(part, dict | list) and part:
            yield from _leaves(part, f"{path}.{key}")
        else:
            yield f"{path}.{key}", part


class Objects:
    """What a rendering holds, by kind and name."""

    def __init__(self, text: str) -> None:
        self.all: list[dict[str, Any]] = copy.deepcopy(_objects(text))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [o for o in self.of(kind) if o["metadata"]["name"] == name]
        return found

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [o for o in self.all if o["kind"] == kind]

    def leaves(self) -> Iterator[tuple[str, object]]:
        """Yield the path and the value of everything that holds nothing further."""
        for n, o in enumerate(self.all):
            yield from _leaves(o, f"{o['kind']}[{n}]")

    def pods(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the pod, or pod template, of everything that runs."""
        for o in self.all:
            if o["kind"] == "Pod":
                yield f"Pod {o['metadata']['name']}", o
            elif "template" in o.get("spec", {}):
                yield f"{o['kind']} {o['metadata']['name']}", o["spec"]["template"]

    @property
    def operator(self) -> dict[str, Any]:
        return self.get("Deployment", "damon-operator")["spec"]["template"]

    @property
    def agent(self) -> dict[str, Any]:
        return self.get("DaemonSet", "damon-operator-agent")["spec"]["template"]


@functools.cache
def _rendered(*values: str, release: str, namespace: str) -> str:
    if not helms():
        pytest.skip(NO_HELM)
    ran = _template(helms()[0], *values, release=release, namespace=namespace)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(name="render", scope="session")
def render_fixture():
    """Return a function from values to objects, by the newest helm."""

    def render(
        *values: str, release: str = "damon-operator", namespace: str = NAMESPACE
    ) -> Objects:
        return Objects(_rendered(*values, release=release, namespace=namespace))

    return render


@pytest.fixture(name="newest", scope="session")
def newest_fixture():
    """Return the newest helm, where it does not matter which."""
    if not helms():
        pytest.skip(NO_HELM)
    return helms()[0]


@pytest.fixture(name="everything", scope="session")
def everything_fixture():
    """Return values with which there is every object but the CRDs."""
    return EVERYTHING


@pytest.fixture(name="template", scope="session")
def template_fixture():
    """Return a function from helm and values to the finished `helm template`."""
    return _template


@pytest.fixture(name="run", scope="session")
def run_fixture():
    """Return a function that runs a helm with any arguments."""
    return _run


@pytest.fixture(name="parsed", scope="session")
def parsed_fixture():
    """Return a function from YAML to objects."""
    return Objects
