"""Events about bad pods, against the embedded API: fair, bounded, forgetting."""

import asyncio
from datetime import UTC, datetime

import pytest

from damon_contract.watches import Backoff
from damon_operator.planner.plan import ObjectNote
from damon_operator.planner.priorities import Note, NoteReason
from damon_operator.reconcile.announcer import Announcer


def note(pod: str, namespace: str = "noisy", text: str = "garbage") -> ObjectNote:
    return ObjectNote(namespace, pod, f"uid-{namespace}-{pod}", Note(NoteReason.REJECTED, text))


@pytest.fixture(name="announcer")
def announcer_fixture(api, cluster):
    for name in ("noisy", "quiet", "third"):
        api.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    return Announcer(cluster, Backoff(lambda: 0.0), sleep, lambda: datetime.now(UTC), "lab")


@pytest.fixture(name="told")
def told_fixture(api, announcer):
    """Return a function that lets the announcer work until nothing waits; the Events in order."""

    async def told() -> list[tuple[str, str]]:
        task = asyncio.create_task(announcer.run())
        writes = len(api.journal.writes("events"))
        async with asyncio.timeout(60):
            while announcer.waiting or len(api.journal.writes("events")) > writes:
                writes = len(api.journal.writes("events"))
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        events = api.cluster.list("events.events.k8s.io")
        events.sort(key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [(e["metadata"]["namespace"], e["involvedObject"]["name"]) for e in events]

    return told


async def test_an_owner_with_a_thousand_notes_keeps_no_other_waiting(announcer, told):
    announcer.tell("n1", [note(f"p{i:04}") for i in range(1000)])
    announcer.tell("n2", [note("a", "quiet")])
    announcer.tell("n3", [note("b", "third")])
    order = await told()
    assert {("quiet", "a"), ("third", "b")} <= set(order[:3])


async def test_what_waits_is_bounded_per_namespace_and_the_others_have_their_place(announcer):
    announcer.tell("n1", [note(f"p{i:04}") for i in range(3000)])
    assert (announcer.waiting, announcer.left_out) == (100, 2900)
    announcer.tell("n2", [note("a", "quiet")])
    assert announcer.waiting == 101


async def test_what_waits_is_bounded_over_all_namespaces(announcer):
    for number in range(300):
        announcer.tell(f"n{number}", [note(f"p{i}", f"ns{number}") for i in range(100)])
    assert announcer.waiting <= 10_000 + 300


async def test_a_note_that_found_no_place_is_told_when_its_node_is_planned_again(announcer, told):
    notes = [note(f"p{i:04}") for i in range(110)]
    announcer.tell("n1", notes)
    assert len(await told()) == 100
    announcer.tell("n1", notes)
    assert len(await told()) == 110


async def test_a_pod_that_changes_all_the_time_holds_one_place(announcer, told):
    for number in range(500):
        announcer.tell("n1", [note("flips", text=f"garbage {number}"), note("still")])
    assert announcer.waiting == 2
    assert sorted(await told()) == [("noisy", "flips"), ("noisy", "still")]


async def test_what_is_no_longer_true_is_neither_told_nor_kept(announcer, told):
    announcer.tell("n1", [note("mended"), note("gone")])
    announcer.tell("n1", [])
    assert announcer.waiting == 0
    assert await told() == []
    assert announcer._true == {}


async def test_a_namespace_that_takes_no_events_does_not_stop_the_others(announcer, told, api):
    api.faults.fail_next(1000, 500, method="POST", path="namespaces/noisy/events")
    announcer.tell("n1", [note("p")])
    announcer.tell("n2", [note(f"q{i}", "quiet") for i in range(5)])
    assert [namespace for namespace, _ in await told()] == ["quiet"] * 5


async def test_an_event_is_tried_again_after_a_failure(announcer, told, api):
    api.faults.fail_next(3, 503, method="POST", path="/events")
    announcer.tell("n1", [note("p")])
    assert await told() == [("noisy", "p")]
