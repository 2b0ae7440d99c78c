"""The words of a conformance script, as data. `parsing` reads them, `playing` obeys them."""

from dataclasses import dataclass, field
from typing import Final, Literal

Function = Literal["max", "sum", "count", "swapped"]

OPERATORS: Final = ("is", "==", "!=", "<=", ">=", "<", ">")


@dataclass(frozen=True)
class Number:
    """A whole number."""

    value: int


@dataclass(frozen=True)
class Text:
    """Literal text with variables in it, the right side of `is`."""

    template: str


@dataclass(frozen=True)
class Variable:
    """`$name`: remembered before, or a process's number (`$p.pid`, `$p.inner`)."""

    name: str


@dataclass(frozen=True)
class Free:
    """`free`: MemFree in per mille of MemTotal, now."""


@dataclass(frozen=True)
class Reading:
    """The number in a file; or of the files a pattern names, taken together by a function.

    `*` in the path stands for every numbered directory. `swapped` takes a process instead and is
    what it has in swap, in MiB.
    """

    path: str
    function: Function | None = None


@dataclass(frozen=True)
class Sum:
    """Terms added (sign 1) and subtracted (sign -1)."""

    terms: "tuple[tuple[int, Expression], ...]"


Expression = Number | Text | Variable | Free | Reading | Sum


@dataclass(frozen=True)
class Condition:
    """Two expressions and one of OPERATORS between them."""

    left: Expression
    operator: str
    right: Expression


@dataclass(frozen=True)
class Write:
    """`write PATH VALUE [in NAMESPACE]`: one write(2), with a newline unless quoted."""

    path: str
    value: str
    exact: bool = False
    namespace: str | None = None


@dataclass(frozen=True)
class Read:
    """`read PATH [free]`: the content without its newline; `free` keeps only its kind."""

    path: str
    free: bool = False


@dataclass(frozen=True)
class Try:
    """`try PATH "TEXT"...`: write each exactly; what came of each write, and what reads then."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class TryEvery:
    """`try every file below PATH with "TEXT"...`: the same for each writable scalar there."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class ListDirectory:
    """`list PATH`: the names in a directory, sorted."""

    path: str


@dataclass(frozen=True)
class Tree:
    """`tree PATH`: every file below with its mode and content."""

    path: str


@dataclass(frozen=True)
class Keyword:
    """`state K WORD [in NAMESPACE] [as NAME]`: write to `state`; with a name, do not wait."""

    kdamond: int
    word: str
    namespace: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Outcome:
    """`outcome NAME within TIME`: what that write returned, or "waits"."""

    name: str
    within_us: int


@dataclass(frozen=True)
class Wait:
    """`wait until CONDITION within TIME [asking WORD]`: true or false.

    asking: written to the `state` of kdamond 0 before each look.
    """

    condition: Condition
    within_us: int
    asking: str | None = None


@dataclass(frozen=True)
class Check:
    """`check CONDITION`: true or false now."""

    condition: Condition


@dataclass(frozen=True)
class Remember:
    """`remember NAME = EXPRESSION`: for later; the value itself is free."""

    name: str
    expression: Expression


@dataclass(frozen=True)
class Sleep:
    """`sleep TIME`, or `sleep N aggregations` of what kdamond 0's files say."""

    us: int = 0
    aggregations: int = 0


@dataclass(frozen=True)
class Start:
    """`start P [in NAMESPACE] [with the pid of Q]`: a process that holds still."""

    name: str
    namespace: str | None = None
    number_of: str | None = None


@dataclass(frozen=True)
class End:
    """`exit P` leaves a zombie, `reap P` removes it, `kill P` does both.

    `abandon P`: as kill, but a child keeps P's number alive as that of a session.
    """

    how: Literal["exit", "reap", "kill", "abandon"]
    name: str


@dataclass(frozen=True)
class Touch:
    """`touch P SIZE once|steadily`: let P have so much memory, and use it once or all the time."""

    name: str
    size_bytes: int
    steadily: bool


@dataclass(frozen=True)
class Squeeze:
    """`squeeze to EXPRESSION`: use memory until at most so many per mille are free."""

    permille: Expression


@dataclass(frozen=True)
class Release:
    """`release`: give back what `squeeze` took."""


@dataclass(frozen=True)
class Namespace:
    """`namespace N`: make a pid namespace with a process that can write for us."""

    name: str


@dataclass(frozen=True)
class PanicOnOops:
    """`panic_on_oops 0|1`: whether a crash in the kernel ends all (1, as it is) or its thread."""

    on: bool


@dataclass(frozen=True)
class Kdamonds:
    """`kdamonds N`: so many, each with one context."""

    count: int


@dataclass(frozen=True)
class Targets:
    """`targets PID...`: rewrite the target list of kdamond 0."""

    pids: tuple[str, ...]


@dataclass(frozen=True)
class Schemes:
    """`schemes ACTION...`: rewrite the schemes of kdamond 0; each is for every region."""

    actions: tuple[str, ...]


@dataclass(frozen=True)
class Intervals:
    """`intervals SAMPLE AGGREGATION UPDATE` of kdamond 0."""

    sample_us: int
    aggregation_us: int
    update_us: int


Step = (
    Write
    | Read
    | Try
    | TryEvery
    | ListDirectory
    | Tree
    | Keyword
    | Outcome
    | Wait
    | Check
    | Remember
    | Sleep
    | Start
    | End
    | Touch
    | Squeeze
    | Release
    | Namespace
    | PanicOnOops
    | Kdamonds
    | Targets
    | Schemes
    | Intervals
)


@dataclass(frozen=True)
class Line:
    """A step and the line of text it came from, which is also how the transcript names it."""

    text: str
    step: Step


@dataclass(frozen=True)
class Danger:
    """`never on real [if FEATURE...]: REASON`: what a real kernel does not survive.

    features: with all of which it is dangerous, a leading "!" for their absence; none: always.
    """

    features: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Case:
    """One story, told from a reset tree: what it needs, what forbids it, its steps.

    fresh_boot (`fresh boot`): it needs a boot of its own: what it does cannot be undone.
    """

    title: str
    needs: tuple[str, ...] = ()
    danger: Danger | None = None
    fresh_boot: bool = False
    lines: tuple[Line, ...] = field(default=())


@dataclass(frozen=True)
class Script:
    """The cases of one topic."""

    name: str
    cases: tuple[Case, ...]
