"""What the soak stands on: its schedule, its wires, its figures, its reading of logs."""

import asyncio
import itertools
import logging
import sys

import pytest
from soak import phases
from soak.meter import Life, Meter
from soak.program import Usage, Watched, tracebacks
from soak.wire import Wire

from damon_contract import logs
from damon_operator.errors import LeaseLost


def begun(seed, number=60):
    return [
        [kind.__name__ for kind in kinds]
        for _, kinds in itertools.islice(phases.schedule(seed), number)
    ]


def test_a_seed_is_a_schedule():
    assert begun(7) == begun(7)
    assert begun(7) != begun(8)


@pytest.mark.parametrize("seed", range(20))
def test_every_kind_of_fault_comes_before_any_comes_again(seed):
    chosen = list(itertools.chain(*begun(seed)))
    first = chosen[: len(phases.KINDS)]
    assert sorted(first) == sorted(kind.__name__ for kind in phases.KINDS)
    assert all(len(set(kinds)) == len(kinds) for kinds in begun(seed))


@pytest.fixture(name="echo")
async def echo_fixture():
    """Return the port of a server that answers each line with itself."""

    async def serve(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def asked(reader, writer, seconds=5.0):
    writer.write(b"hello\n")
    try:
        async with asyncio.timeout(seconds):
            return await reader.readline()
    except (TimeoutError, ConnectionError) as error:
        return type(error)


async def test_a_wire_carries_falls_silent_and_can_be_cut(echo):
    wire = Wire(echo)
    await wire.up()
    try:
        first = await asyncio.open_connection("127.0.0.1", wire.port)
        assert await asked(*first) == b"hello\n"
        assert wire.silence() == 1
        assert await asked(*first, seconds=0.3) is TimeoutError
        second = await asyncio.open_connection("127.0.0.1", wire.port)
        assert await asked(*second) == b"hello\n"
        wire.cut()
        assert await asked(*second) in {b"", ConnectionResetError}
        third = await asyncio.open_connection("127.0.0.1", wire.port)
        assert await asked(*third) in {b"", ConnectionResetError}
        wire.mend()
        fourth = await asyncio.open_connection("127.0.0.1", wire.port)
        assert await asked(*fourth) == b"hello\n"
        for _, writer in (first, second, third, fourth):
            writer.close()
    finally:
        await wire.down()


def life(*megabytes, minutes=60.0, descriptors=10):
    lived = Life("agent", 1, 0.0)
    for number, mb in enumerate(megabytes):
        seconds = 60 * minutes * number / (len(megabytes) - 1)
        lived.samples.append((seconds, Usage(mb, descriptors, 4)))
    return lived


def test_a_process_that_grows_is_told_and_one_that_is_full_at_first_is_not():
    assert life(*range(30, 90)).excess()
    assert not life(*range(30, 50), *[50] * 60).excess()
    assert life(*range(30, 90)).slope_mb_per_h() == pytest.approx(59, rel=0.1)
    assert not life(*range(30, 90), minutes=5).excess(), "too short a life to say"


def test_a_process_that_holds_too_much_is_told_however_short_it_lived():
    assert life(30, 400, minutes=1).excess()
    assert life(30, 30, minutes=1, descriptors=500).excess()


def test_a_restart_begins_another_life():
    meter = Meter()
    for second, pid in enumerate([1, 1, 1, 2]):
        meter.note("agent", pid, second, Usage(30, 10, 4))
    assert [each.pid for each in meter.lives] == [1, 2]
    assert [each.pid for each in meter.longest()] == [1]


def test_a_traceback_is_found_and_one_of_the_design_is_not():
    lost = "Traceback (most recent call last):\n  File x\ndamon_operator.errors.LeaseLost: taken"
    assert tracebacks(f"a line\n{lost}\nanother") == []
    bad = "Traceback (most recent call last):\n  File x\n    code\nKeyError: 'x'"
    assert tracebacks(f"{bad}\n{lost}\n{bad}") == ["KeyError: 'x'", "KeyError: 'x'"]


def test_a_traceback_is_found_in_a_line_of_our_own_log(caplog):
    for error in (KeyError("x"), LeaseLost("taken")):
        try:
            raise error
        except (KeyError, LeaseLost):
            logging.getLogger("test").exception('it failed, and "goes on"')
    lines = [logs.Formatter("logfmt").format(record) for record in caplog.records]
    assert tracebacks("\n".join(lines)) == ["KeyError: 'x'"]


async def test_a_program_that_ends_by_itself_is_noticed_once(tmp_path):
    program = Watched("timeit", "timeit", ("-n1", "-r1", "pass"), tmp_path)
    assert sys.executable in program._command
    await program.start()
    await program._process.wait()
    assert program.ended_by_itself() == 0
    assert program.ended_by_itself() is None
    await program.until_said("loop")
    assert "loop" in program.news()
    assert program.news() == ""


async def test_a_program_that_is_told_to_end_has_not_ended_by_itself(tmp_path):
    program = Watched("server", "http.server", ("0",), tmp_path)
    await program.start()
    assert program.usage().threads == 1
    await program.pause(0.01)
    await program.stop()
    assert program.ended_by_itself() is None
    assert program.usage() is None
