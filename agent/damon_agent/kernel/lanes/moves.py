"""What is done next with one lane. Pure: the whole state machine is `next_move`.

A lane is looked at anew at each step, and then at most one move is made. From top to bottom, the
first row that holds decides:

| what is seen                                             | move         | what follows        |
|----------------------------------------------------------|--------------|---------------------|
| a command is under way and hangs                         | FREE         | it returns          |
| a command is under way                                   | WAIT         | its end             |
| off; nobody is wanted, or nobody of them lives           | FORGET       | at rest             |
| off; it has failed a moment ago, or DAMON is taken       | WAIT         | START               |
| off                                                      | START        | on, or a fault      |
| on; nobody is wanted or lives, or it is unknown who is in| STOP         | off                 |
| on; the files are unknown                                | CHECK_DRIFT  | the files are known |
| on; a commit cannot bring it about (before 6.3)          | STOP         | off, then START     |
| on; something is missing, and a commit is due            | COMMIT       | on, or a fault      |
| on; it is time to compare all files                      | CHECK_DRIFT  | the same again      |
| on; it is time to ask for the counters                   | ASK_COUNTERS | the same again      |
| on; it is time to ask where memory is in use             | ASK_REGIONS  | the same again      |
| on; something is missing                                 | WAIT         | COMMIT              |
| on                                                       | REST         | at rest             |

DAMON takes one command at a time, whichever kdamond it is for: while another lane's is under way,
everything that needs one is put off, except what ends a kdamond.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

from damon_agent.kernel.tree.kdamond import POLL_US

NEVER_US: Final = 2**63 - 1
"""Later than everything."""


class Action(Enum):
    """What a move does."""

    FREE = auto()
    WAIT = auto()
    FORGET = auto()
    START = auto()
    STOP = auto()
    CHECK_DRIFT = auto()
    COMMIT = auto()
    ASK_COUNTERS = auto()
    ASK_REGIONS = auto()
    REST = auto()


class Move(NamedTuple):
    """One move, and when to look again after it at the latest."""

    action: Action
    until_us: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What is the case with a lane; all of it found by looking, right before the move."""

    is_on: bool = False
    """What `state` reads."""
    under_way: bool = False
    """Whether a command of this lane has not been answered."""
    hangs: bool = False
    """Whether that one is never going to be."""
    kernel_is_free: bool = True
    """Whether no other lane's command is under way."""
    is_wanted: bool = False
    """Whether anybody who is wanted here lives."""
    is_known: bool = True
    """Whether the record says who is in the kdamond: never commit over the unknown."""
    files_known: bool = True
    is_missing: bool = False
    """Whether anything wanted has not been taken by the kernel."""
    must_restart: bool = False
    """Whether only a start can bring it about."""
    is_urgent: bool = False
    """Whether something reclaims that is not to, or is about to take memory that has only just
    come: such a commit does not wait for its distance."""
    commit_us: int = 0
    """When the next commit is due."""
    retry_us: int = 0
    """Not before this, after a failure."""
    drift_us: int = NEVER_US
    """When all files are to be compared."""
    counters_us: int = NEVER_US
    """When the kernel is to be asked for its counters."""
    regions_us: int = NEVER_US
    """When the kernel is to be asked for regions."""


def next_move(seen: Seen, now_us: int) -> Move:
    """Return the next move; see the table above."""
    if seen.under_way:
        return Move(Action.FREE if seen.hangs else Action.WAIT, now_us + POLL_US)
    return _on(seen, now_us) if seen.is_on else _off(seen, now_us)


def _off(seen: Seen, now_us: int) -> Move:
    if not seen.is_wanted:
        return Move(Action.FORGET, NEVER_US)
    if now_us < seen.retry_us:
        return Move(Action.WAIT, seen.retry_us)
    return Move(Action.START if seen.kernel_is_free else Action.WAIT, now_us + POLL_US)


def _on(seen: Seen, now_us: int) -> Move:
    soon_us = now_us + POLL_US
    commit_us = seen.retry_us if seen.is_urgent else max(seen.commit_us, seen.retry_us)
    is_due = seen.is_missing and now_us >= commit_us
    asks_us = min(seen.counters_us, seen.regions_us)
    # A question that is due waits for the kernel as everything does.
    due_us = min(seen.drift_us, asks_us if seen.kernel_is_free else max(asks_us, soon_us))
    rows = (
        (not seen.is_wanted or not seen.is_known, Action.STOP, soon_us),
        (not seen.files_known, Action.CHECK_DRIFT, now_us),
        (seen.is_missing and seen.must_restart, Action.STOP, soon_us),
        (is_due and seen.kernel_is_free, Action.COMMIT, soon_us),
        (now_us >= seen.drift_us, Action.CHECK_DRIFT, now_us),
        (now_us >= seen.counters_us and seen.kernel_is_free, Action.ASK_COUNTERS, soon_us),
        (now_us >= seen.regions_us and seen.kernel_is_free, Action.ASK_REGIONS, soon_us),
        (is_due, Action.WAIT, soon_us),
        (seen.is_missing, Action.WAIT, min(due_us, commit_us)),
        (True, Action.REST, max(due_us, soon_us)),
    )
    return next(Move(action, until_us) for holds, action, until_us in rows if holds)


def rests(seen: Seen, move: Move) -> bool:
    """Say whether everything wanted is in the kernel when this move is made."""
    if move.action in {Action.ASK_COUNTERS, Action.ASK_REGIONS}:
        return not seen.is_missing
    return move.action in {Action.REST, Action.FORGET}
