"""The writes of one round: in pieces, and none when it is over."""

import errno

from damon_agent.reclaim.round import PIECE_BYTES, Asked, Round

GIB = 1 << 30


class File:
    """Remembers what is written; `then` is called after each write."""

    def __init__(self, then=lambda: None):
        self.written = []
        self._then = then

    def write(self, directory, text):
        self.written.append((directory, text))
        self._then()


def asked(uid, size_bytes, *directories, word="swappiness=0"):
    return Asked(uid, directories or (uid,), size_bytes, word)


def test_what_is_asked_for_is_written_in_pieces():
    file = File()
    whole = Round([asked("a", 2 * PIECE_BYTES + 4096)], file, lambda: False)
    whole.carry_out()
    sizes = [PIECE_BYTES, PIECE_BYTES, 4096]
    assert file.written == [("a", f"{size} swappiness=0") for size in sizes]
    assert whole.is_done
    assert not whole.was_cut


def test_time_that_is_up_is_seen_between_two_pieces():
    file = File()
    cut = Round(
        [asked("a", 9 * GIB, "a/1", "a/2"), asked("b", GIB)], file, lambda: len(file.written) >= 2
    )
    cut.carry_out()
    assert [directory for directory, _ in file.written] == ["a/1", "a/1"]
    assert [answer.asked.uid for answer in cut.answers] == ["a"]
    assert cut.is_done
    assert cut.was_cut


def test_a_round_that_is_stopped_ends_after_the_piece_under_way():
    def stop():
        cut.stop()

    file = File(stop)
    cut = Round([asked("a", 9 * GIB), asked("b", GIB)], file, lambda: False)
    cut.carry_out()
    assert file.written == [("a", f"{PIECE_BYTES} swappiness=0")]
    assert cut.was_cut


def test_a_pod_that_has_less_is_asked_for_no_further_piece():
    def less():
        raise OSError(errno.EAGAIN, "there is less")

    file = File(less)
    whole = Round([asked("a", 9 * GIB), asked("b", GIB)], file, lambda: False)
    whole.carry_out()
    assert [directory for directory, _ in file.written] == ["a", "b"]
    assert [answer.error.errno for answer in whole.answers] == [errno.EAGAIN] * 2
    assert not whole.was_cut
