import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from damon_mock.kube.server import ApiServer
from damon_operator.cluster import connect
from damon_operator.errors import LeaseLost
from damon_operator.leader import Elector


@dataclass
class Time:
    """A clock that moves when everybody sleeps."""

    now: float = 0.0
    sleepers: list[tuple[float, asyncio.Event]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = asyncio.Event()
        self.sleepers.append((self.now + seconds, until))
        await until.wait()

    async def pass_(self, seconds: float) -> None:
        """Move on in steps of a second; between them requests are given time to end."""
        end = self.now + seconds
        while self.now < end:
            self.now += 1
            for at, until in list(self.sleepers):
                if at <= self.now:
                    self.sleepers.remove((at, until))
                    until.set()
            for _ in range(20):
                await asyncio.sleep(0.001)


class Candidate:
    def __init__(self, cluster, time: Time, identity: str, fails: Exception | None) -> None:
        self.working = False
        self._fails = fails
        elector = Elector(
            leases=cluster,
            namespace="default",
            name="lease",
            identity=identity,
            clock=time.clock,
            now=lambda: datetime.now(UTC),
            sleep=time.sleep,
        )
        self.task = asyncio.create_task(elector.lead(self._work))

    async def _work(self) -> None:
        self.working = True
        try:
            if self._fails is not None:
                raise self._fails
            await asyncio.Event().wait()
        finally:
            self.working = False


@pytest.fixture(name="lab")
async def lab_fixture(tmp_path):
    """Start candidates with `lab(identity)`; `lab.time` and `lab.api` are theirs."""
    async with (
        ApiServer() as api,
        connect(str(api.write_kubeconfig(tmp_path / "kubeconfig"))) as cluster,
    ):
        time, started = Time(), []

        def start(identity: str, *, fails: Exception | None = None) -> Candidate:
            started.append(Candidate(cluster, time, identity, fails))
            return started[-1]

        start.time, start.api = time, api
        yield start
        for candidate in started:
            candidate.task.cancel()
        await asyncio.gather(*(c.task for c in started), return_exceptions=True)


async def test_one_works_and_the_other_waits(lab):
    one = lab("one")
    await lab.time.pass_(3)
    two = lab("two")
    await lab.time.pass_(60)
    assert (one.working, two.working) == (True, False)
    lease = lab.api.cluster.get("leases", "lease")["spec"]
    assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == ("one", 15)


async def test_a_leader_that_ends_hands_over_at_once(lab):
    one, two = lab("one"), lab("two")
    await lab.time.pass_(5)
    leader, other = (one, two) if one.working else (two, one)
    leader.task.cancel()
    await asyncio.gather(leader.task, return_exceptions=True)
    await lab.time.pass_(4)
    assert other.working


async def test_a_leader_that_vanishes_is_followed_when_its_lease_has_run_out(lab):
    one = lab("one")
    await lab.time.pass_(3)
    lease = lab.api.cluster.get("leases", "lease")
    one.task.cancel()
    await asyncio.gather(one.task, return_exceptions=True)
    spec = {**lease["spec"], "holderIdentity": "vanished"}
    lab.api.cluster.patch("leases", "lease", {"spec": spec})
    two = lab("two")
    await lab.time.pass_(12)
    assert not two.working
    await lab.time.pass_(8)
    assert two.working
    transitions = lab.api.cluster.get("leases", "lease")["spec"]["leaseTransitions"]
    assert transitions > lease["spec"]["leaseTransitions"]


async def test_a_leader_whose_lease_was_taken_stops_and_says_so(lab):
    one = lab("one")
    await lab.time.pass_(3)
    change = {"holderIdentity": "thief", "renewTime": "2026-01-01T00:00:00.000000Z"}
    lab.api.cluster.patch("leases", "lease", {"spec": change})
    await lab.time.pass_(3)
    assert not one.working
    with pytest.raises(LeaseLost, match="thief"):
        await one.task


async def test_a_leader_that_cannot_renew_stops_before_others_may_start(lab):
    one = lab("one")
    await lab.time.pass_(3)
    lab.api.faults.fail_next(1000, 503)
    await lab.time.pass_(6)
    assert one.working
    await lab.time.pass_(6)
    assert not one.working
    with pytest.raises(LeaseLost):
        await one.task


async def test_a_candidate_outlives_an_api_server_that_is_away(lab):
    await lab.api.down()
    one = lab("one")
    await lab.time.pass_(30)
    assert not one.task.done()
    await lab.api.up()
    await lab.time.pass_(3)
    assert one.working


async def test_work_that_fails_is_not_hidden(lab):
    one = lab("one", fails=RuntimeError("a bug"))
    await lab.time.pass_(3)
    with pytest.raises(RuntimeError, match="a bug"):
        await one.task
