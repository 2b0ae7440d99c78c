import asyncio

import pytest

from damon_operator.errors import Refused, Unavailable


async def test_the_list_comes_in_pages_and_the_watch_goes_on_from_its_version(rig):
    assert rig.reflector.facts == {"a": 1, "b": 1, "c": 1}
    await rig.until(lambda: any(r.startswith("watch") for r in rig.server.requests))
    assert rig.server.requests == ["page", "page 4|b", "watch 4"]


async def test_events_become_facts_and_each_difference_is_told_once(rig):
    rig.changes.clear()
    rig.server.put("d", 5)
    rig.server.put("a", 2)
    rig.server.put("b", 1)
    rig.server.delete("c")
    await rig.caught_up()
    assert rig.changes == [(None, 5), (1, 2), (1, None)]


@pytest.mark.parametrize("as_status", [True, False])
async def test_what_was_deleted_before_a_410_is_gone_after_one_list(rig, as_status):
    rig.server.expired_as_status = as_status
    await rig.until(lambda: "watch 4" in rig.server.requests)
    rig.changes.clear()
    for name in ("a", "c"):
        del rig.server.objects[name]
    rig.server.compact()
    await rig.until(lambda: rig.reflector.relists == 2)
    assert rig.reflector.facts == {"b": 1}
    assert rig.changes == [(1, None), (1, None)]


async def test_a_410_for_a_page_starts_the_list_again_and_deletes_nothing_early(rig):
    rig.changes.clear()
    await rig.until(lambda: "watch 4" in rig.server.requests)
    before = len(rig.server.requests)

    def compacted_before_the_second_page():
        rig.server.compact()

    rig.server.before_page = [lambda: None, compacted_before_the_second_page]
    rig.server.compact()
    await rig.until(lambda: rig.reflector.relists == 2)
    pages = [r for r in rig.server.requests[before:] if r.startswith("page")]
    assert len(pages) == 4
    assert rig.reflector.facts == {"a": 1, "b": 1, "c": 1}
    assert rig.changes == []


async def test_a_broken_watch_goes_on_where_it_was_without_a_list(rig):
    rig.server.put("d", 1)
    await rig.caught_up()
    rig.server.down = True
    rig.server.wake()
    await rig.until(lambda: len(rig.time.slept) > 3)
    rig.server.put("e", 1)
    rig.server.delete("a")
    rig.server.down = False
    await rig.caught_up()
    assert rig.reflector.relists == 1


async def test_failures_are_retried_ever_more_slowly_up_to_a_limit(rig):
    rig.server.down = True
    rig.server.wake()
    await rig.until(lambda: len(rig.time.slept) >= 6)
    assert rig.time.slept[:6] == [1, 2, 4, 8, 8, 8]


async def test_a_success_ends_the_back_off(rig):
    rig.server.down = True
    rig.server.wake()
    await rig.until(lambda: len(rig.time.slept) >= 4)
    rig.server.down = False
    rig.server.put("d", 1)
    await rig.caught_up()
    rig.time.slept.clear()
    rig.server.down = True
    rig.server.wake()
    await rig.until(lambda: rig.time.slept)
    assert rig.time.slept[0] == 1


async def test_a_server_that_ends_watches_at_once_is_not_hammered(rig):
    rig.server.ends_at_once = True
    rig.server.wake()
    await rig.until(lambda: len(rig.time.slept) >= 4)
    assert rig.time.slept[:4] == [1, 2, 4, 8]


async def test_a_server_that_expires_every_watch_is_not_hammered(rig):
    rig.server.expired_as_status = True
    rig.server.oldest = 10**6
    rig.server.wake()
    await rig.until(lambda: len(rig.time.slept) >= 4)
    assert rig.time.slept[:4] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "answer",
    [Unavailable("watch", 504, "Timeout"), Refused("watch", 400, "BadRequest")],
)
async def test_a_version_the_server_does_not_take_is_given_up_for_a_new_list(rig, answer):
    await rig.until(lambda: "watch 4" in rig.server.requests)
    rig.server.refuses = answer
    rig.server.put("d", 1)
    await rig.until(lambda: rig.reflector.relists == 2)
    await rig.caught_up()


async def test_a_bookmark_moves_the_place_to_go_on_from(rig):
    await rig.until(lambda: "watch 4" in rig.server.requests)
    rig.server.bookmark()
    await rig.settle()
    rig.server.down = True
    rig.server.wake()
    await rig.until(lambda: rig.time.slept)
    rig.server.down = False
    await rig.until(lambda: "watch 5" in rig.server.requests)
    assert rig.reflector.relists == 1


async def test_an_unreadable_object_is_left_out_and_the_others_go_on(rig):
    rig.server.put("b", "bad")
    rig.server.put("d", "bad")
    rig.server.put("e", 1)
    await rig.caught_up()
    assert rig.reflector.facts == {"a": 1, "c": 1, "e": 1}
    rig.server.put("b", 7)
    await rig.caught_up()


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ADDED", "object": {"metadata": None}},
        {"type": "ADDED", "object": {"metadata": {}}},
        {"type": "DELETED", "object": {}},
        {"type": "NEWS", "object": {"metadata": {"name": "x"}}},
        {"type": "ADDED", "object": 5},
        {"type": "ERROR", "object": {"code": 500, "reason": "InternalError"}},
        {},
    ],
)
async def test_an_odd_event_stops_nothing(rig, event):
    rig.server.version += 1
    rig.server.history.append({**event, "at": rig.server.version})
    rig.server.put("d", 1)
    await rig.caught_up()


async def test_the_heartbeat_moves_during_an_outage(rig):
    rig.server.down = True
    rig.server.wake()
    await rig.until(lambda: len(rig.time.slept) > 5)
    assert rig.time.now - rig.reflector.heard <= 8


async def test_a_burst_of_events_lets_other_tasks_run(rig):
    turns = 0

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    seen = []
    rig.reflector.changed = lambda *_: seen.append(turns)
    for number in range(30):
        rig.server.put(f"x{number}", 1)
    await rig.until(lambda: len(seen) == 30)
    task.cancel()
    assert seen[-1] - seen[0] >= 8
