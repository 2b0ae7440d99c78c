"""Whatever happens to the server and the stream: in the end the facts are the server's."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

names = st.sampled_from("abcdef")
steps = st.one_of(
    st.tuples(st.just("put"), names, st.integers(0, 3) | st.just("bad")),
    st.tuples(st.just("delete"), names),
    st.tuples(st.sampled_from(["compact", "bookmark", "outage", "wait", "page-410"])),
)


async def act(rig, step) -> None:
    server = rig.server
    match step:
        case ("put", name, value):
            server.put(name, value)
        case ("delete", name) if name in server.objects:
            server.delete(name)
        case ("compact",):
            server.compact()
        case ("bookmark",):
            server.bookmark()
        case ("outage",):
            server.down = not server.down
            server.wake()
        case ("page-410",):
            server.before_page = [lambda: None, server.compact]
        case ("wait",):
            for _ in range(7):
                await asyncio.sleep(0)


@settings(max_examples=150, deadline=None)
@given(script=st.lists(steps, max_size=30))
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
        for step in script:
            await act(rig, step)
        rig.server.down = False
        rig.server.wake()
        truth = {n: (n, o["value"]) for n, o in rig.server.objects.items()}
        await rig.until(lambda: rig.reflector.facts == truth and rig.reflector.synced.is_set())
        assert told == truth
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
