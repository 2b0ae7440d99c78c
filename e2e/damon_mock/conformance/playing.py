"""Playing scripts on a machine: each step gives a line of the transcript."""

import re
from collections.abc import Iterable
from functools import singledispatchmethod
from typing import Final

from . import language as lang
from .features import CAPABILITIES, FEATURES
from .machine import Machine, MachineError, Writing, error_name
from .processes import Processes
from .scope import Scope, full
from .transcripts import CaseTranscript, Result, Transcript

PATIENCE_US: Final = 300_000_000
"""How long a step that is expected to succeed may take; it only ends what has failed."""

_ACTS: Final = re.compile(r"/(state|nr_[a-z]+)$")
"""Files that do more than hold a value."""

_GLANCE_US: Final = 20_000
_MOST: Final = str(2**64 - 1)


def play(
    script: lang.Script, machine: Machine, features: frozenset[str], source: str
) -> Transcript:
    """Play all cases of a script, each from a reset tree."""
    cases = [_play_case(case, machine, features, source) for case in script.cases]
    return Transcript(script.name, machine.kernel, tuple(cases))


def probe(machine: Machine) -> frozenset[str]:
    """Return the names of the features of the tree and of the capabilities of the machine."""
    reset(machine)
    for path, number in (
        ("nr_kdamonds", 1),
        ("0/contexts/nr_contexts", 1),
        ("0/contexts/0/targets/nr_targets", 1),
        ("0/contexts/0/schemes/nr_schemes", 1),
        ("0/contexts/0/schemes/0/filters/nr_filters", 1),
    ):
        if path.split("/")[-2:-1] != ["filters"] or _is_there(machine, path):
            _must(machine, path, str(number))
    found = {name for name, path in FEATURES.items() if _is_there(machine, path)}
    reset(machine)
    return frozenset(found) | machine.capabilities


def reset(machine: Machine) -> None:
    """Switch everything off, and leave no kdamond, process or module; MachineError."""
    machine.clear()
    for name in _entries(machine, ""):
        if name.isdecimal() and machine.read(f"{name}/state") == b"on\n":
            _must(machine, f"{name}/state", "off", tolerated={"EPERM"})
    _must(machine, "nr_kdamonds", "0")
    for module in _entries(machine, "module"):
        path = f"module/{module}/parameters/enabled"
        if module.startswith("damon_") and machine.read(path) == b"Y\n":
            _must(machine, path, "N")


def _play_case(
    case: lang.Case, machine: Machine, features: frozenset[str], source: str
) -> CaseTranscript:
    lacking = [need for need in case.needs if not _given(need, features)]
    if lacking:
        needs = ", ".join(CAPABILITIES.get(name, name) for name in lacking)
        avoided = not machine.real and not CAPABILITIES.keys().isdisjoint(lacking)
        return CaseTranscript(case.title, source, skipped=f"needs {needs}", avoided=avoided)
    danger = case.danger
    if machine.real and danger and all(_given(name, features) for name in danger.features):
        skipped = f"never on real: {danger.reason}"
        return CaseTranscript(case.title, source, skipped=skipped, avoided=True)
    if case.fresh_boot and not machine.boot():
        skipped = "needs a boot of its own"
        return CaseTranscript(case.title, source, skipped=skipped, avoided=True)
    reset(machine)
    player = _Player(machine)
    try:
        steps = tuple((line.text, player.do(line.step)) for line in case.lines)
    except MachineError as error:
        raise MachineError(f"{case.title}: {error}") from error
    finally:
        reset(machine)
    return CaseTranscript(case.title, source, steps)


def _given(need: str, features: frozenset[str]) -> bool:
    return (need.removeprefix("!") in features) != need.startswith("!")


def _is_there(machine: Machine, path: str) -> bool:
    try:
        machine.mode(path)
    except OSError:
        return False
    return True


def _entries(machine: Machine, path: str) -> list[str]:
    try:
        return sorted(machine.entries(path))
    except FileNotFoundError:
        return []


def _must(
    machine: Machine, path: str, value: str, *, tolerated: frozenset[str] | set[str] = frozenset()
) -> None:
    """Write, and again while it is busy."""
    deadline_us = machine.now_us() + PATIENCE_US
    while True:
        result = machine.begin(path, f"{value}\n".encode()).result(PATIENCE_US)
        if result == "ok" or result in tolerated:
            return
        if result != "EBUSY" or machine.now_us() > deadline_us:
            raise MachineError(f"write {path} {value}: {result or 'does not return'}")
        machine.sleep(_GLANCE_US)


class _Player:
    """Obeys the steps of one case."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._scope = Scope(machine)
        self._processes = Processes(self._scope)
        self._under_way: dict[str, Writing] = {}

    @singledispatchmethod
    def do(self, step: lang.Step) -> Result:
        """Obey one step; return what the transcript says of it."""
        return self._processes.do(step)

    @do.register
    def _(self, step: lang.Write) -> Result:
        value = self._scope.filled(step.value) if not step.exact else step.value
        return self._put(step.path, value if step.exact else f"{value}\n", step.namespace)

    @do.register
    def _(self, step: lang.Read) -> Result:
        try:
            text = self._scope.text(step.path)
        except OSError as error:
            return error_name(error)
        if step.free:
            return "a number" if text.lstrip("-").isdecimal() else "a text"
        return self._processes.named(step.path, text)

    @do.register
    def _(self, step: lang.Try) -> Result:
        return [self._tried(step.path, value) for value in step.values]

    @do.register
    def _(self, step: lang.TryEvery) -> Result:
        lines = []
        for path, mode in sorted(self._walk(full(step.path))):
            if mode & 0o200 and not _ACTS.search(path):
                tried = [self._tried(path, value) for value in step.values]
                lines.append(f"{path}: {', '.join(tried)}")
        return lines

    def _tried(self, path: str, value: str) -> str:
        result = self._put(path, value)
        if result != "ok":
            return f"{value!r} {result}"
        return f"{value!r} {self._scope.text(path)!r}"

    @do.register
    def _(self, step: lang.ListDirectory) -> Result:
        try:
            names = self._machine.entries(full(step.path).removesuffix("."))
        except OSError as error:
            return error_name(error)
        return [" ".join(sorted(names, key=lambda name: (not name.isdecimal(), name)))]

    @do.register
    def _(self, step: lang.Tree) -> Result:
        try:
            return [
                f"{path} {mode:o} {self._scope.text(path)!r}"
                for path, mode in sorted(self._walk(full(step.path).removesuffix(".")))
            ]
        except OSError as error:
            return error_name(error)

    def _walk(self, path: str) -> Iterable[tuple[str, int]]:
        for name in self._machine.entries(path):
            below = f"{path}/{name}".lstrip("/")
            mode = self._machine.mode(below)
            if mode is None:
                yield from self._walk(below)
            else:
                yield below, mode

    @do.register
    def _(self, step: lang.Keyword) -> Result:
        path, data = f"{step.kdamond}/state", f"{step.word}\n".encode()
        if step.name is None:
            return self._put(path, data.decode(), step.namespace)
        self._under_way[step.name] = self._machine.begin(path, data, step.namespace)
        return "begun"

    @do.register
    def _(self, step: lang.Outcome) -> Result:
        if step.name not in self._under_way:
            raise MachineError(f"nothing was begun as {step.name}")
        return self._under_way[step.name].result(step.within_us) or "waits"

    @do.register
    def _(self, step: lang.Wait) -> Result:
        deadline_us = self._machine.now_us() + step.within_us
        while True:
            if step.asking is not None:
                self._put("0/state", f"{step.asking}\n")
            found = self._scope.holds(step.condition)
            if found == "true" or self._machine.now_us() >= deadline_us:
                return found
            self._machine.sleep(_GLANCE_US)

    @do.register
    def _(self, step: lang.Check) -> Result:
        return self._scope.holds(step.condition)

    @do.register
    def _(self, step: lang.Remember) -> Result:
        try:
            self._scope.values[step.name] = self._scope.number(step.expression)
        except OSError as error:
            return error_name(error)
        return "a number"

    @do.register
    def _(self, step: lang.Sleep) -> Result:
        us = step.us
        if step.aggregations:
            intervals = "context/monitoring_attrs/intervals/aggr_us"
            us = step.aggregations * int(self._scope.text(intervals))
        self._machine.sleep(us)
        return "slept"

    @do.register
    def _(self, step: lang.PanicOnOops) -> Result:
        self._machine.panic_on_oops(on=step.on)
        return "done"

    @do.register
    def _(self, step: lang.Kdamonds) -> Result:
        writes = [("nr_kdamonds", str(step.count))]
        writes += [(f"{index}/contexts/nr_contexts", "1") for index in range(step.count)]
        return self._all(writes)

    @do.register
    def _(self, step: lang.Targets) -> Result:
        writes = [("context/targets/nr_targets", str(len(step.pids)))]
        for index, pid in enumerate(step.pids):
            writes.append((f"context/targets/{index}/pid_target", self._scope.filled(pid)))
        return self._all(writes)

    @do.register
    def _(self, step: lang.Schemes) -> Result:
        writes = [("context/schemes/nr_schemes", str(len(step.actions)))]
        for index, action in enumerate(step.actions):
            base = f"context/schemes/{index}"
            writes.append((f"{base}/action", action))
            writes += [
                (f"{base}/access_pattern/{what}/max", _MOST)
                for what in ("sz", "nr_accesses", "age")
            ]
        return self._all(writes)

    @do.register
    def _(self, step: lang.Intervals) -> Result:
        base = "context/monitoring_attrs/intervals"
        return self._all(
            [
                (f"{base}/sample_us", str(step.sample_us)),
                (f"{base}/aggr_us", str(step.aggregation_us)),
                (f"{base}/update_us", str(step.update_us)),
            ]
        )

    def _put(self, path: str, text: str, namespace: str | None = None) -> str:
        writing = self._machine.begin(full(path), text.encode("latin-1"), namespace)
        return writing.result(PATIENCE_US) or "waits"

    def _all(self, writes: list[tuple[str, str]]) -> Result:
        for path, value in writes:
            result = self._put(path, f"{value}\n")
            if result != "ok":
                return f"{path}: {result}"
        return "ok"
