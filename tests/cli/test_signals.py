"""What a plain kill and a terminal that closes do to a command that has made something."""

import os
import signal

import pytest

from damon_cli import signals

ENDING = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(name="handlers", autouse=True)
def handlers_fixture():
    """What was handled before is handled so behind each block, whatever ended it."""

    def defect(number, _frame):
        raise AssertionError(number)

    before = [signal.signal(each, defect) for each in ENDING]
    yield
    assert [signal.getsignal(each) for each in ENDING] == [defect, defect]
    for each, handler in zip(ENDING, before, strict=True):
        signal.signal(each, handler)


def send(*numbers):
    for each in numbers:
        os.kill(os.getpid(), each)


def make(*numbers, taking_away=()):
    """Play a command that is sent signals; return what it came to do, and how it ended."""
    done, ended = [], None
    try:
        with signals.interrupting():
            try:
                send(*numbers)
                done.append("answered")
            finally:
                with signals.held():
                    send(*taking_away)
                    done.append("taken away")
            done.append("printed")
    except KeyboardInterrupt:
        ended = "interrupted"
    return done, ended


def test_without_a_signal_all_is_done():
    assert make() == (["answered", "taken away", "printed"], None)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_interrupts(number):
    assert make(number) == (["taken away"], "interrupted")


@pytest.mark.parametrize("number", ENDING)
def test_what_is_taken_away_is_taken_away_first(number):
    again = (number, number)
    assert make(taking_away=again) == (["answered", "taken away"], "interrupted")
    assert make(number, taking_away=again) == (["taken away"], "interrupted")


def test_ctrl_c_breaks_in():
    assert make(taking_away=[signal.SIGINT]) == (["answered"], "interrupted")


def test_an_error_meanwhile_is_the_one_that_is_told():
    def fail():
        with signals.held():
            send(signal.SIGTERM)
            raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"):
        fail()
