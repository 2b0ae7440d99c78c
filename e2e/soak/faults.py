"""The kinds of faults. Each does its harm, takes back what a cluster's people would, and returns.

What it does follows from its random numbers; when it meets the others does not.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from damon_mock.demo.programs import MEMORY
from damon_mock.kube.failures import ApiFailure
from soak import judge
from soak.program import Watched
from soak.stage import Node, Stage

Kind = Callable[[Stage, Random], Awaitable[None]]

_EVENTS: Final = logging.getLogger("soak.events")
_KDAMONDS: Final = "damon/admin/kdamonds"
_STATE: Final = f"{_KDAMONDS}/*/state"


async def _down(program: Watched, seconds: float, *, kindly: bool) -> None:
    async with program.lock:
        await (program.stop() if kindly else program.kill())
        await asyncio.sleep(seconds)
        await program.start()


async def kill_operators(stage: Stage, random: Random) -> None:
    """SIGKILL or SIGTERM each operator once or twice; both may be away at once."""
    for _ in range(2):
        chosen = random.sample(stage.operators, random.randint(1, 2))
        plans = [(p, random.uniform(0, 8), random.random() < 0.4) for p in chosen]
        await asyncio.gather(*(_down(p, s, kindly=k) for p, s, k in plans))
        await asyncio.sleep(random.uniform(1, 6))


async def kill_agents(stage: Stage, random: Random) -> None:
    """SIGKILL agents, and start them again at once or after a while."""
    await _agents_away(stage, random, kindly=False)


async def stop_agents(stage: Stage, random: Random) -> None:
    """SIGTERM agents: from then on no lane of theirs reclaims."""
    await _agents_away(stage, random, kindly=True)


async def _agents_away(stage: Stage, random: Random, *, kindly: bool) -> None:
    async def one(node: Node, pauses: list[float]) -> None:
        for seconds in pauses:
            async with node.agent.lock:
                await (node.agent.stop() if kindly else node.agent.kill())
                if kindly:
                    look = await node.ask("look", since_write=0, since_event=0)
                    acting = [
                        lane.index for lane in judge.lanes(look) if lane.action not in {"", "stat"}
                    ]
                    if acting:
                        stage.complain(f"{node.name}: SIGTERM left {acting} reclaiming")
                await asyncio.sleep(seconds)
                await node.agent.start()
            await asyncio.sleep(seconds)

    # The first one lives through all: its figures show what an hour does to a process.
    victims = random.sample(stage.nodes[1:], random.randint(1, 3))
    plans = [(n, [random.uniform(0, 6) for _ in range(random.randint(1, 4))]) for n in victims]
    await asyncio.gather(*(one(*each) for each in plans))


async def pause_programs(stage: Stage, random: Random) -> None:
    """SIGSTOP programs: time leaps for them, leases and patience run out."""
    chosen = random.sample(stage.product, random.randint(1, 3))
    plans = [(program, random.uniform(2, 25)) for program in chosen]

    async def one(program: Watched, seconds: float) -> None:
        async with program.lock:
            await program.pause(seconds)

    await asyncio.gather(*(one(*each) for each in plans))


async def api_away(stage: Stage, random: Random) -> None:
    """Take the API server down and up again."""
    async with stage.api_lock:
        for _ in range(random.randint(1, 3)):
            _EVENTS.info("the API server goes down")
            await stage.api.down()
            await asyncio.sleep(random.uniform(0.2, 12))
            await stage.api.up()
            _EVENTS.info("the API server is up")
            await asyncio.sleep(random.uniform(0.5, 4))


async def cut_off(stage: Stage, random: Random) -> None:
    """Cut some programs off from the API server, each by its own wire."""
    wires = random.sample(stage.wires, random.randint(1, 4))
    for wire in wires:
        wire.cut()
    await asyncio.sleep(random.uniform(3, 20))
    for wire in wires:
        wire.mend()


async def silent_watches(stage: Stage, random: Random) -> None:
    """Let connections fall silent for ever, with their sockets open."""
    for wire in random.sample(stage.wires, random.randint(1, len(stage.wires))):
        wire.silence()
    await asyncio.sleep(1)


async def blind_watches(stage: Stage, random: Random) -> None:
    """Answer every watch with 200 and nothing, as some servers do at a lost version."""
    async with stage.api_lock:
        stage.api.blind = True
        stage.api.drop_watches()
        await asyncio.sleep(random.uniform(3, 15))
        stage.api.blind = False


async def expired_watches(stage: Stage, random: Random) -> None:
    """410, by an event, by a status, and by deletions that no watch ever tells."""
    async with stage.api_lock:
        for _ in range(random.randint(2, 5)):
            what = random.choice(("expire", "drop", "compact", "gap"))
            _EVENTS.info("watches: %s", what)
            stage.api.faults.expired_as_status = random.random() < 0.5
            if what == "gap":
                pods = stage.api.cluster.list("pods")
                chosen = random.choice(pods)["metadata"]
                stage.api.gap(("pods", chosen["name"], chosen["namespace"]))
            else:
                getattr(stage.api, f"{what}_watches" if what != "compact" else what)()
            await asyncio.sleep(random.uniform(0.2, 4))


async def refusals(stage: Stage, random: Random) -> None:
    """429, 503 and other statuses, with and without Retry-After."""
    for _ in range(random.randint(3, 8)):
        count, status = random.randint(1, 25), random.choice((429, 429, 503, 500, 504, 409, 403))
        method, after_s = random.choice(("", "GET", "PATCH", "PUT")), random.choice((0, 1, 5))
        _EVENTS.info("the next %d %s get %d, Retry-After %d", count, method, status, after_s)
        stage.api.faults.fail_next(count, status, method=method, retry_after_s=after_s)
        await asyncio.sleep(random.uniform(0.5, 4))
    stage.api.faults.refusals.clear()


async def restored_store(stage: Stage, random: Random) -> None:
    """Restore the API's store to what it was some seconds ago; versions are given out again.

    So many that no reader's version is passed while it could still take the silence for rest: a
    backup is minutes old at least. What a younger one would hide is in docs/adr/0015.
    """
    async with stage.api_lock, stage.tuning_lock:
        photograph = stage.api.photograph()
        stage.api.registry.store.version += 1_000_000
        await asyncio.sleep(random.uniform(4, 12))
        await stage.api.restore(photograph)
        await asyncio.sleep(2)


async def skewed_lease(stage: Stage, random: Random) -> None:
    """Write a renewal of another time into the lease, as a replica with a wrong clock does."""
    for year in random.sample(("1990", "2099", "2001", "2050"), 2):
        with contextlib.suppress(ApiFailure):
            stamp = f"{year}-01-01T00:00:00.000000Z"
            change = {"spec": {"renewTime": stamp, "acquireTime": stamp}}
            cluster = stage.api.cluster
            cluster.patch("leases", "damon-operator", change, namespace="damon-system")
        await asyncio.sleep(random.uniform(1, 6))


async def altered_plans(stage: Stage, random: Random) -> None:
    """Let a backup tool change and delete DamonNodes."""
    cluster = stage.api.cluster.acting_as("backup")
    for _ in range(random.randint(2, 5)):
        names = [node["metadata"]["name"] for node in cluster.list("dn")]
        with contextlib.suppress(ApiFailure, IndexError):
            name = random.choice(names)
            change: dict[str, Any] | None = random.choice((
                {"settings": {"watermarks": {"floorPermille": 400, "ceilingPermille": 700}}},
                {"mode": "Observe"}, {"pods": []}, {"hash": "0" * 16}, None,
            ))  # fmt: skip
            _EVENTS.info("DamonNode %s is changed: %s", name, change)
            if change is None:
                cluster.delete("dn", name)
            else:
                cluster.patch("dn", name, {"spec": change})
        await asyncio.sleep(random.uniform(0.5, 5))


async def damaged_state(stage: Stage, random: Random) -> None:
    """Damage files of agents' state directories, mostly while the agent is dead."""

    async def one(node: Node, seed: int) -> None:
        mine = Random(seed)  # noqa: S311 - a schedule
        async with node.agent.lock:
            dead = mine.random() < 0.8 and node is not stage.nodes[0]
            if dead:
                await node.agent.kill()
            for _ in range(mine.randint(1, 2)):
                damage(node.state, mine)
            if dead:
                await node.agent.start()

    for _ in range(2):
        victims = random.sample(stage.nodes, random.randint(1, 4))
        await asyncio.gather(*(one(node, random.getrandbits(32)) for node in victims))
        await asyncio.sleep(random.uniform(5, 12))


def damage(directory: Path, random: Random) -> None:
    """Damage one file of a state directory."""
    with contextlib.suppress(OSError):
        path = directory / random.choice(("record.json", "plan.json", "record.json.new"))
        how = random.choice(("flip", "flip", "flip", "cut", "brackets", "delete", "empty", "list"))
        held = bytearray(path.read_bytes() if path.exists() else b"{}")
        at = random.randrange(max(1, len(held)))
        if how == "delete":
            path.unlink(missing_ok=True)
        elif how == "flip" and held:
            held[at] ^= 1 << random.randrange(8)
            path.write_bytes(held)
        else:
            texts = {"cut": bytes(held[:at]), "brackets": b"[" * 100_000, "list": b"[1]"}
            path.write_bytes(texts.get(how, b""))
        _EVENTS.info("damaged %s/%s: %s at %d", directory.parent.name, path.name, how, at)


async def full_disk(stage: Stage, random: Random) -> None:
    """Fill the disks of the state directories; restart an agent meanwhile."""
    nodes = [node for node in stage.nodes if node.has_small_disk]
    if not nodes:
        stage.log.warning("no disk of its own for the state directories: full disks are left out")
        return
    chosen = random.sample(nodes, random.randint(1, len(nodes)))
    for node in chosen:
        _EVENTS.info("%s: the disk is full", node.name)
        with contextlib.suppress(OSError), (node.state / "ballast").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    others = [node for node in chosen if node is not stage.nodes[0]]
    if others:
        await _down(random.choice(others).agent, 1, kindly=random.random() < 0.5)
    await asyncio.sleep(random.uniform(5, 15))
    for node in chosen:
        (node.state / "ballast").unlink(missing_ok=True)


async def busy_kernel(stage: Stage, random: Random) -> None:
    """Let accesses of the DAMON sysfs fail for a while: locked, interrupted, out of memory."""
    for node in random.sample(stage.nodes, random.randint(1, 3)):
        for _ in range(random.randint(1, 4)):
            await node.ask(
                "inject",
                path=random.choice((_STATE, f"{_KDAMONDS}/*", f"{_KDAMONDS}/*/targets/*")),
                value="*",
                effect=random.choice(("EBUSY", "EBUSY", "EINTR", "ENOMEM", "EIO")),
                times=random.choice((1, 3, 30, 200)),
            )
    await asyncio.sleep(random.uniform(5, 15))
    await _cleared(stage)


async def refused_commits(stage: Stage, random: Random) -> None:
    """Refuse commits, and let kdamonds stop at one that they report as done."""
    for node in random.sample(stage.nodes, random.randint(1, 3)):
        effect = random.choice(("EINVAL", "ENOMEM", "StopsKdamond"))
        await node.ask("inject", path=_STATE, value="commit", effect=effect, times=4)
    await asyncio.sleep(random.uniform(5, 15))
    await _cleared(stage)


async def hung_commits(stage: Stage, random: Random) -> None:
    """Let commands never return until the kdamond is switched off."""
    victims = random.sample(stage.nodes, random.randint(1, 2))
    async with contextlib.AsyncExitStack() as stack:
        for node in victims:
            # A killed agent's write stays in the kernel and keeps the lock, and the agent does not
            # end before it: nobody is killed here, and nothing hangs any more at the end.
            await stack.enter_async_context(node.agent.lock)
        for node in victims:
            await node.ask("inject", path=_STATE, value="*", effect="Hangs", times=2)
        await asyncio.sleep(random.uniform(15, 25))
        await _cleared(stage)
        for node in victims:
            await _switched_off(node)


async def _switched_off(node: Node) -> None:
    """Switch every kdamond off, whoever's it is: what hangs at it returns."""
    look = await node.ask("look", since_write=0, since_event=0)
    for index in range(look["nr_kdamonds"]):
        await node.ask("write", path=f"{_KDAMONDS}/{index}/state", value="off")


async def _cleared(stage: Stage) -> None:
    for node in stage.nodes:
        await node.ask("clear")


async def foreign_kdamonds(stage: Stage, random: Random) -> None:
    """While an agent is dead somebody else takes the kdamonds, works, and leaves them empty."""

    async def one(node: Node, number: int, stays: float, waits: float) -> None:
        await asyncio.sleep(waits)  # so that it may be killed in the middle of a change
        somebody = next(pod.sandbox.session for pod in node.simulated.kubelet.pods.values())
        async with node.agent.lock:
            await node.agent.kill()
            await _switched_off(node)
            await asyncio.sleep(3)  # a kdamond ends at its next sample
            await node.ask("write", path=f"{_KDAMONDS}/nr_kdamonds", value=str(number))
            for index, (path, value) in itertools.product(range(number), (
                ("contexts/nr_contexts", "1"), ("contexts/0/operations", "vaddr"),
                ("contexts/0/schemes/nr_schemes", "1"), ("contexts/0/targets/nr_targets", "1"),
                ("contexts/0/targets/0/pid_target", str(somebody)),
            )):  # fmt: skip
                await node.ask("write", path=f"{_KDAMONDS}/{index}/{path}", value=value)
            await node.ask("write", path=f"{_KDAMONDS}/0/state", value="on")
            await node.agent.start()
        await node.agent.until_said("agent of node")
        await asyncio.sleep(stays)
        look = await node.ask("look", since_write=0, since_event=0)
        said = list(judge.says_ready(stage.api.cluster.find("dn", node.name)))
        _EVENTS.info("%s: %d writes, %s", node.name, look["writes"], said)
        for index in range(number):
            await node.ask("write", path=f"{_KDAMONDS}/{index}/state", value="off")
        await asyncio.sleep(3)
        await node.ask("write", path=f"{_KDAMONDS}/nr_kdamonds", value="0")

    victims = random.sample(stage.nodes[1:], random.randint(1, 2))
    # With eight there are as many as ours.
    plans = [(n, random.choice((1, 3, 8, 8)), random.uniform(8, 16), random.uniform(0, 9))
             for n in victims]  # fmt: skip
    await asyncio.gather(*(one(*each) for each in plans))


async def damon_stat(stage: Stage, random: Random) -> None:
    """Switch DAMON_STAT on as at boot, while nothing is tuned; the agents may stop it."""
    async with stage.tuning_lock:
        stage.set_mode("Off")
        await asyncio.sleep(8)
        for node in random.sample(stage.nodes, 2):
            path = "module/damon_stat/parameters/enabled"
            answer = await node.ask("write", path=path, value="Y")
            _EVENTS.info("DAMON_STAT on %s: errno %d", node.name, answer["errno"])
        stage.set_mode("Enforce")
        await asyncio.sleep(random.uniform(3, 8))


async def modes(stage: Stage, random: Random) -> None:
    """Change the mode of the tuning, faster than it can be followed."""
    async with stage.tuning_lock:
        for _ in range(random.randint(2, 6)):
            stage.set_mode(random.choice(("Off", "Observe", "Enforce", "garbage")))
            await asyncio.sleep(random.uniform(0.1, 6))
        stage.set_mode(random.choice(("Observe", "Enforce", "Enforce", "Off")))


async def memory(stage: Stage, random: Random) -> None:
    """Let available memory rise and fall on all nodes."""
    for _ in range(random.randint(3, 8)):
        for node in stage.nodes:
            level = MEMORY.with_available(random.choice((60, 150, 250, 350, 450, 650, 850)))
            _EVENTS.info("%s: %d MiB available", node.name, level.available_bytes >> 20)
            node.simulated.set_memory(level)
        await asyncio.sleep(random.uniform(0.5, 5))


async def reboots(stage: Stage, random: Random) -> None:
    """Start a node's kernel anew while its agent is dead: another boot, an empty tree."""
    for node in random.sample(stage.nodes[1:], random.randint(1, 2)):
        async with node.agent.lock:
            await node.agent.kill()
            await node.ask("reboot")
            node.new_boot()
            await node.agent.start()
        await asyncio.sleep(random.uniform(0, 4))
