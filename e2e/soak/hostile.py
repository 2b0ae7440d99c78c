"""Faults that a pod brings: its size, its processes, its cgroups, its files."""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from random import Random
from typing import Final

from damon_mock.kube.failures import ApiFailure
from damon_mock.nodes.pods import Container
from soak.pods import real_pods
from soak.stage import PAPER_NODES, Node, Stage

_EVENTS: Final = logging.getLogger("soak.events")
_GONE: Final = (ApiFailure, KeyError, ProcessLookupError, StopIteration, RuntimeError, OSError)


async def huge_pods(stage: Stage, random: Random) -> None:
    """Pods of 700 KB of characters that JSON writes as six."""
    names = []
    for _ in range(random.randint(1, 3)):
        env = [{"name": "X", "value": "\x01<&>\x1f" * 140_000}]
        container = {"name": "main", "image": "i", "env": env}
        manifest = stage.churn.manifest(random, containers=[container])
        manifest["spec"]["nodeName"] = random.choice(PAPER_NODES)
        names.append((manifest["metadata"]["name"], manifest["metadata"]["namespace"]))
        stage.api.cluster.create(manifest)
        _EVENTS.info("huge pod %s", manifest["metadata"]["name"])
        await asyncio.sleep(random.uniform(0.5, 3))
    for name, namespace in names:
        with contextlib.suppress(*_GONE):
            change = {"odd": "\x00\x1b" * 50, "long": "<" * 100_000}
            stage.api.cluster.annotate("pods", name, change, namespace)
        await asyncio.sleep(1)
    for name, namespace in names:
        with contextlib.suppress(*_GONE):
            stage.api.cluster.delete("pods", name, namespace, grace_seconds=0)


async def forks(stage: Stage, random: Random) -> None:
    """Containers that fork, all at once."""
    for _ in range(random.randint(1, 3)):
        node = random.choice(stage.nodes)
        with contextlib.suppress(*_GONE):
            pod = random.choice(list(real_pods(node)))
            _EVENTS.info("%s forks on %s", pod.name, node.name)
            for _ in range(random.randint(5, 60)):
                await node.simulated.fork(pod.name, namespace=pod.namespace)
        await asyncio.sleep(random.uniform(0.5, 3))


async def crash_loops(stage: Stage, random: Random) -> None:
    """Containers that crash as fast as the kubelet starts them."""
    for _ in range(random.randint(1, 3)):
        node = random.choice(stage.nodes)
        with contextlib.suppress(*_GONE):
            pod = random.choice(list(real_pods(node)))
            _EVENTS.info("%s crashes on %s", pod.name, node.name)
            for _ in range(random.randint(5, 30)):
                await node.simulated.crash(pod.name, namespace=pod.namespace)
                await asyncio.sleep(random.uniform(0.02, 0.3))


async def odd_cgroups(stage: Stage, random: Random) -> None:
    """Containers that make cgroups of their own: named after others, deep, with odd names."""
    made: list[Path] = []
    moved: list[tuple[Path, str]] = []
    for node in random.sample(stage.nodes, random.randint(1, 3)):
        containers = [c for pod in real_pods(node) for c in pod.containers.values()]
        if len(containers) > 1:
            with contextlib.suppress(*_GONE):
                made.append(await _claim(node, random.sample(containers, 2), moved))
        if containers:
            home = _directory(node, random.choice(containers))
            with contextlib.suppress(OSError):
                made += _chain(home, random.choice((3, 40, 1100)))
                odd = home / random.choice(("a b\n0::", "\x1b[2J", "kubepods.slice", "x" * 255))
                odd.mkdir()
                made.append(odd)
                _EVENTS.info("odd cgroups in %s", home)
    await asyncio.sleep(random.uniform(8, 15))
    for entry, text in moved:
        with contextlib.suppress(OSError):
            entry.write_text(text, encoding="utf-8")
    for path in reversed(made):
        for name in ("cgroup.procs", "cgroup.events"):
            (path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.rmdir()


async def _claim(node: Node, chosen: list[Container], moved: list[tuple[Path, str]]) -> Path:
    """Let a child of one container enter a cgroup of its own with the other container's id."""
    attacker, victim = chosen
    name = Path(victim.cgroup).name
    inner = _directory(node, attacker) / name
    pod = next(p for p in real_pods(node) if attacker in p.containers.values())
    child = await node.simulated.fork(pod.name, attacker.name, pod.namespace)
    inner.mkdir()
    (inner / "cgroup.events").write_text("populated 1\nfrozen 0\n", encoding="utf-8")
    (inner / "cgroup.procs").write_text(f"{child.pid}\n", encoding="utf-8")
    entry = node.simulated.proc_root / str(child.pid) / "cgroup"
    moved.append((entry, entry.read_text(encoding="utf-8")))
    entry.write_text(f"0::{attacker.cgroup}/{name}\n", encoding="utf-8")
    return inner


def _chain(home: Path, depth: int) -> list[Path]:
    """Make directories in each other: as long a path as the kernel lets one make at once."""
    made = []
    path = home
    for _ in range(depth):
        path /= "d"
        if len(os.fspath(path)) > 3900:
            break
        path.mkdir()
        made.append(path)
    return made


async def odd_files(stage: Stage, random: Random) -> None:
    """Files of a pod's cgroup that nobody can read."""
    changed: list[tuple[Path, bytes]] = []
    for node in random.sample(stage.nodes, random.randint(1, 3)):
        containers = [c for pod in real_pods(node) for c in pod.containers.values()]
        for container in random.sample(containers, min(3, len(containers))):
            name = random.choice(("memory.pressure", "memory.stat", "memory.swap.max"))
            path = _directory(node, container) / name
            with contextlib.suppress(OSError):
                changed.append((path, path.read_bytes()))
                _EVENTS.info("garbage in %s", path)
                path.write_bytes(random.choice((b"", b"garbage", b"\xff\xfe", b"anon -1\n")))
    await asyncio.sleep(random.uniform(12, 20))
    for path, before in changed:
        with contextlib.suppress(OSError):
            path.write_bytes(before)


def _directory(node: Node, container: Container) -> Path:
    return node.simulated.cgroup_root / container.cgroup.lstrip("/")
