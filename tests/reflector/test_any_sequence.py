"""Whatever happens to the server and the stream: in the end the facts are the server's."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from damon_operator.errors import Unavailable

names = st.sampled_from("abcdef")
steps = st.one_of(
    st.tuples(st.just("put"), names, st.integers(0, 3) | st.just("bad")),
    st.tuples(st.just("delete"), names),
    st.tuples(st.sampled_from(["compact", "bookmark", "outage", "wait", "page-410"])),
    st.tuples(st.sampled_from(["save", "restore"])),
    st.tuples(st.just("write"), names, st.integers(4, 7)),
    st.tuples(st.just("remove"), names),
    st.tuples(st.just("answer"), st.integers(0, 3)),
)


async def act_as_writer(rig, step, writes) -> None:
    """Begin writes of the operator's own, and let their answers come late and in any order."""
    server = rig.server
    writing = {write[-1] for write in writes}  # of each object one at a time, as the writer does
    match step:
        case ("write", name, value) if not server.down and name not in writing:
            begun = await begin(rig, name)
            server.put(name, value)
            writes.append((*begun, server.objects[name], name))
        case ("remove", name) if not server.down and name not in writing:
            begun = await begin(rig, name)
            if name in server.objects:
                server.delete(name)
            writes.append((*begun, None, name))
        case ("restore",):
            for task, answer, *_ in writes:  # the server stops, and with it what is under way
                answer.set_exception(Unavailable("PATCH", 0, "stopped"))
                await asyncio.gather(task, return_exceptions=True)
            writes.clear()
        case ("answer", number) if number < len(writes):
            answered(writes.pop(number))


async def act(rig, step) -> None:
    server = rig.server
    match step:
        case ("restore",):
            # Nobody can tell a restored store whose count has passed the reader's before it asks.
            server.down = False
            server.restore()
            for _ in range(50):
                await asyncio.sleep(0)
        case ("save" | "compact" | "bookmark" as turn,):
            getattr(server, turn)()
        case ("put", name, value):
            server.put(name, value)
        case ("delete", name) if name in server.objects:
            server.delete(name)
        case ("outage",):
            server.down = not server.down
            server.wake()
        case ("page-410",):
            server.before_page = [lambda: None, server.compact]
        case ("wait",):
            for _ in range(7):
                await asyncio.sleep(0)


async def begin(rig, name):
    """Begin a write: what follows happens on the server, and the answer is still under way."""
    answer = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(rig.reflector.write(name, answer))
    await asyncio.sleep(0)
    return task, answer


def answered(write) -> None:
    _, answer, stored, _ = write
    answer.set_result(stored)


@settings(max_examples=300, deadline=None)
@given(script=st.lists(steps, max_size=40))
def test_the_facts_end_up_as_the_servers_and_the_changes_add_up_to_them(new_rig, script):
    async def run():
        rig = new_rig()
        told = {}

        def changed(old, new, key):
            assert told.get(key) == old
            assert old != new
            told.pop(key, None) if new is None else told.update({key: new})

        # The callback is told no key, so facts carry it themselves here.
        rig.reflector.read = lambda raw, _: (raw["metadata"]["name"], raw["value"])
        rig.reflector.changed = lambda old, new: changed(old, new, (new or old)[0])
        task = asyncio.create_task(rig.reflector.run())
        writes = []
        for step in script:
            await act_as_writer(rig, step, writes)
            await act(rig, step)
        waiting = [write[0] for write in writes]
        for write in writes:
            answered(write)
        await asyncio.gather(*waiting)
        rig.server.down = False
        rig.server.wake()
        truth = {n: (n, o["value"]) for n, o in rig.server.objects.items()}
        await rig.until(lambda: rig.reflector.facts == truth and rig.reflector.synced.is_set())
        assert told == truth
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
