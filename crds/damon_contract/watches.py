"""What follows when a list or a watch of the Kubernetes API has ended. Pure.

The operator's reflectors and the agent's watcher go by these rules. docs/adr/0015-watch-rules.md
has them as a table, and says where they differ from client-go's and why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

IDLE_S: Final = 90.0
"""A watch that is silent for longer is broken: API servers send a bookmark every minute or so."""
WATCH_S: Final = 290
"""The length of a watch: below the 5 minutes after which many load balancers cut connections."""
LINE_BYTES: Final = 16 << 20
"""The longest watch event that is read: the 1.5 MiB that etcd holds, each character escaped as six,
and as much again for the names of fields, which etcd does not store."""

_SHORT_S: Final = 1.0
"""A watch that ends sooner is not replaced without a pause."""
_NOT_HEARD: Final = {0, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
"""No answer, or one that was given without looking at the request."""
_STEADY_S: Final = 60.0
"""A watch that lasted longer ends a row of failures, whatever it brought."""
_MOST_ASKED_S: Final = 60.0
"""More than this is not waited for, whatever a server asks."""


class Ended(NamedTuple):
    """How a watch ended."""

    status: int
    """HTTP status of the answer; 0: there was none."""
    brought: bool
    """Whether it brought an event, bookmarks included."""
    lasted_s: float
    broken: bool = False
    """By anything but the server's proper end of the stream: cut off, silent, refused."""
    unusable: bool = False
    """By an ERROR event, or by something that is no event."""
    asked_s: float = 0.0
    """The pause the server asked for."""


class Next(NamedTuple):
    """What follows."""

    lists: bool
    """List again; else go on watching from the last version."""
    failures: int
    """In a row, this one included; 0: go on without a pause."""
    asked_s: float = 0.0
    """The pause the server asked for."""


def after_list(failures: int, asked_s: float) -> Next:
    """Return what follows a list that failed, whatever it was: another one, after a pause."""
    return Next(lists=True, failures=failures + 1, asked_s=asked_s)


def after_watch(ended: Ended, failures: int) -> Next:
    """Return what follows a watch that ended after so many failures in a row.

    Only a watch that was not answered, that was refused for load, or that has brought something is
    good to go on from. Every other one may be about the version it was asked for, and asking for
    the same again would bring the same for ever: an expired version, an event that can't be read, a
    version of before the store was restored from a backup, which some servers answer with silence.
    """
    useful = ended.status == HTTPStatus.OK and ended.brought and not ended.unusable
    if useful and not ended.broken and ended.lasted_s >= _SHORT_S:
        return Next(lists=False, failures=0)
    lists = not useful and (ended.unusable or ended.status not in _NOT_HEARD)
    in_a_row = 1 if useful or ended.lasted_s >= _STEADY_S else failures + 1
    return Next(lists, in_a_row, ended.asked_s)


def retry_after_s(asked: object) -> float:
    """Return the seconds that a Retry-After or `retryAfterSeconds` asks for; 0 when it is none.

    The form with a date is not read: it needs a clock that agrees with the server's.
    """
    try:
        seconds = float(str(asked))
    except ValueError:
        return 0.0
    return min(_MOST_ASKED_S, seconds) if seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double from `first_s` to `most_s`, each shortened by up to half at random.

    The randomness keeps the clients of many clusters and nodes from coming back at the same moment.
    """

    random: Callable[[], float]
    """Returns a number in [0, 1)."""
    first_s: float = 0.8
    most_s: float = 30.0

    def delay_s(self, failures: int, asked_s: float = 0.0) -> float:
        """Return the delay after so many failures in a row, at least what the server asked for."""
        if failures <= 0:
            return 0.0
        full_s = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return max(asked_s, full_s * (1 - self.random() / 2))
