"""Work by key: the one that fails waits alone, none runs twice at once, none is lost."""

import asyncio

import pytest
from waiting import eventually

from damon_contract.watches import Backoff
from damon_operator.errors import Unavailable
from damon_operator.reconcile.queue import WorkQueue


class Sleep:
    """Sleeps until it is let go."""

    def __init__(self):
        self.asked = []
        self.over = asyncio.Event()

    async def __call__(self, seconds):
        self.asked.append(seconds)
        await self.over.wait()


class Job:
    """Fails for the keys it is told to, and keeps the others waiting while it is held."""

    def __init__(self):
        self.done, self.running, self.failing = [], [], {}
        self.free = asyncio.Event()
        self.free.set()

    async def __call__(self, key):
        assert key not in self.running, "one key twice at once"
        self.running.append(key)
        try:
            await self.free.wait()
            if key in self.failing:
                raise self.failing[key]
            self.done.append(key)
        finally:
            self.running.remove(key)


@pytest.fixture(name="job")
async def job_fixture():
    return Job()


@pytest.fixture(name="sleep")
async def sleep_fixture():
    return Sleep()


@pytest.fixture(name="told")
def told_fixture():
    return []


@pytest.fixture(name="queue")
async def queue_fixture(job, sleep, told):
    backoff = Backoff(lambda: 0.0, 1.0, 30.0)
    queue = WorkQueue(job, told.append, backoff, sleep, workers=2)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_key_that_fails_waits_alone(queue, job, sleep, told):
    job.failing["bad"] = OSError("no")
    for key in ("bad", "good", "also"):
        queue.push(key)
    await eventually(lambda: sorted(job.done) == ["also", "good"])
    assert queue.waiting == 1
    (failure,) = told
    assert (failure.key, failure.failures, failure.retry_s) == ("bad", 1, 1.0)
    queue.push("bad")
    queue.push("next")
    await eventually(lambda: job.done[-1] == "next")
    assert (len(told), sleep.asked) == (1, [1.0]), (
        "pushing it again does not cut its back-off short"
    )
    del job.failing["bad"]
    sleep.over.set()
    await eventually(lambda: job.done[-1] == "bad")
    assert queue.waiting == 0


async def test_delays_grow_by_key_and_a_success_ends_the_row(queue, job, sleep, told):
    sleep.over.set()
    job.failing["bad"] = Unavailable("PUT /x", 503, "busy", retry_after_s=3.0)
    queue.push("bad")
    await eventually(lambda: len(told) >= 4)
    del job.failing["bad"]
    await eventually(lambda: queue.waiting == 0)
    row = [f.retry_s for f in told]
    assert row[:4] == [3.0, 3.0, 4.0, 8.0], "at least what the server asks for"
    told.clear()
    job.failing["bad"] = OSError("no")
    queue.push("bad")
    await eventually(lambda: told)
    assert told[0].failures == 1


async def test_a_key_pushed_while_it_is_worked_on_is_worked_on_once_more(queue, job):
    job.free.clear()
    queue.push("a")
    await eventually(lambda: job.running == ["a"])
    for _ in range(3):
        queue.push("a")
    job.free.set()
    await eventually(lambda: queue.waiting == 0)
    assert job.done == ["a", "a"]


async def test_a_queue_that_is_ended_and_begun_anew_has_lost_nothing(job, sleep, told):
    queue = WorkQueue(job, told.append, Backoff(lambda: 0.0), sleep, workers=2)

    async def run():
        task = asyncio.create_task(queue.run())
        await asyncio.sleep(0)
        return task

    job.failing["bad"] = OSError("no")
    queue.push("bad")
    task = await run()
    await eventually(lambda: told)
    job.free.clear()
    for key in ("busy", "too", "queued"):
        queue.push(key)
    await eventually(lambda: len(job.running) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert queue.waiting == 4
    job.free.set()
    job.failing.clear()
    task = await run()
    await eventually(lambda: sorted(job.done) == ["bad", "busy", "queued", "too"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
