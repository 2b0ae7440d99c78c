"""From the text of a conformance script to its steps."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

from . import language as lang
from .features import CAPABILITIES, FEATURES

_UNITS_US: Final = {"us": 1, "ms": 1_000, "s": 1_000_000}
_SIZES: Final = {"KiB": 1024, "MiB": 1024 * 1024}
_TIME: Final = r"(\d+) ?(us|ms|s)"
_WORD: Final = r"[A-Za-z_]\w*"
_PATH: Final = r"[\w./*-]+"
_IN: Final = rf"(?: in ({_WORD}))?"
_QUOTED: Final = r'"[^"]*"(?: "[^"]*")*'
_NUMBER: Final = re.compile(r"[0-9]+")
_CALL: Final = re.compile(rf"(max|sum|count|swapped)\(({_PATH})\)")


class ScriptError(ValueError):
    """A line that is no step; the message says where."""


def parse(name: str, text: str) -> lang.Script:
    """Read a script. `== TITLE` starts a case; `#` starts a comment line; blank lines are free."""
    reader = _Reader()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line and not line.startswith("#"):
            try:
                reader.take(line)
            except ScriptError as error:
                raise ScriptError(f"{name}:{number}: {error}") from None
    return lang.Script(name, tuple(reader.cases))


class _Reader:
    """The cases of a script so far."""

    def __init__(self) -> None:
        self.cases: list[lang.Case] = []

    def take(self, line: str) -> None:
        """Take one line that says something; ScriptError."""
        if line.startswith("== "):
            title = line[3:]
            if any(case.title == title for case in self.cases):
                raise ScriptError(f"a second case called {title!r}")
            self.cases.append(lang.Case(title))
            return
        if not self.cases:
            raise ScriptError("a script starts with a case: == TITLE")
        case = self.cases[-1]
        if line.startswith("needs "):
            case = replace(case, needs=case.needs + _features(line.removeprefix("needs ")))
        elif line == "fresh boot":
            case = replace(case, fresh_boot=True)
        elif line.startswith("never on real"):
            case = replace(case, danger=_danger(line))
        else:
            case = replace(case, lines=(*case.lines, lang.Line(line, step(line))))
        self.cases[-1] = case


def step(line: str) -> lang.Step:
    """Read one step; ScriptError."""
    for pattern, make in _RULES:
        found = pattern.fullmatch(line)
        if found is not None:
            return make(*found.groups())
    raise ScriptError(f"not a step: {line}")


def expression(text: str) -> lang.Expression:
    """Read terms with " + " and " - " between them; ScriptError."""
    words = text.split()
    terms = [(1, _term(words[0]))] if words else []
    for sign, word in zip(words[1::2], words[2::2], strict=False):
        if sign not in {"+", "-"}:
            raise ScriptError(f"not + or -: {sign}")
        terms.append((1 if sign == "+" else -1, _term(word)))
    if not terms or len(words) % 2 == 0:
        raise ScriptError(f"not an expression: {text!r}")
    return terms[0][1] if len(terms) == 1 else lang.Sum(tuple(terms))


def _term(word: str) -> lang.Expression:
    if _NUMBER.fullmatch(word):
        return lang.Number(int(word))
    if word.startswith("$"):
        return lang.Variable(word[1:])
    if word == "free":
        return lang.Free()
    if call := _CALL.fullmatch(word):
        return lang.Reading(call[2], cast("lang.Function", call[1]))
    if re.fullmatch(_PATH, word):
        return lang.Reading(word)
    raise ScriptError(f"not a number, variable or path: {word}")


def _condition(text: str) -> lang.Condition:
    for operator in lang.OPERATORS:
        left, found, right = text.partition(f" {operator} ")
        if found:
            if operator == "is":
                return lang.Condition(expression(left), operator, lang.Text(right))
            return lang.Condition(expression(left), operator, expression(right))
    raise ScriptError(f"no condition: {text}")


def _features(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name.removeprefix("!") not in {*FEATURES, *CAPABILITIES}:
            raise ScriptError(f"no such feature: {name}")
    return names


def _danger(line: str) -> lang.Danger:
    found = re.fullmatch(r"never on real(?: if ([^:]+))?: (.+)", line)
    if found is None:
        raise ScriptError("say why: never on real [if FEATURE, ...]: REASON")
    return lang.Danger(_features(found[1]) if found[1] else (), found[2])


def _us(number: str, unit: str) -> int:
    return int(number) * _UNITS_US[unit]


def _unescaped(quoted: str) -> str:
    return quoted.encode("ascii").decode("unicode_escape")


def _all_quoted(text: str) -> tuple[str, ...]:
    return tuple(_unescaped(quoted) for quoted in re.findall(r'"([^"]*)"', text))


def _write(path: str, quoted: str | None, bare: str | None, namespace: str | None) -> lang.Write:
    if quoted is not None:
        return lang.Write(path, _unescaped(quoted), exact=True, namespace=namespace)
    return lang.Write(path, bare or "", namespace=namespace)


_Rule = tuple[str, Callable[..., lang.Step]]
_TEXTS: Final[tuple[_Rule, ...]] = (
    (rf'write ({_PATH}) (?:"(.*)"|([^"\s]+|\{{.+\}})){_IN}', _write),
    (rf"read ({_PATH})( free)?", lambda path, free: lang.Read(path, free=free is not None)),
    (
        rf"try every file below ({_PATH}) with ({_QUOTED})",
        lambda path, values: lang.TryEvery(path, _all_quoted(values)),
    ),
    (rf"try ({_PATH}) ({_QUOTED})", lambda path, values: lang.Try(path, _all_quoted(values))),
    (rf"list ({_PATH})", lang.ListDirectory),
    (rf"tree ({_PATH})", lang.Tree),
    (
        rf"state (\d+) (\S+){_IN}(?: as ({_WORD}))?",
        lambda kdamond, word, inside, name: lang.Keyword(int(kdamond), word, inside, name),
    ),
    (
        rf"outcome ({_WORD}) within {_TIME}",
        lambda name, number, unit: lang.Outcome(name, _us(number, unit)),
    ),
    (
        rf"wait until (.+) within {_TIME}(?: asking ({_WORD}))?",
        lambda text, number, unit, word: lang.Wait(_condition(text), _us(number, unit), word),
    ),
    (r"check (.+)", lambda text: lang.Check(_condition(text))),
    (
        rf"remember ({_WORD}) = (.+)",
        lambda name, text: lang.Remember(name, expression(text)),
    ),
    (r"sleep (\d+) aggregations?", lambda number: lang.Sleep(aggregations=int(number))),
    (rf"sleep {_TIME}", lambda number, unit: lang.Sleep(_us(number, unit))),
    (rf"start ({_WORD}){_IN}(?: with the pid of ({_WORD}))?", lang.Start),
    (rf"(exit|reap|kill|abandon) ({_WORD})", lang.End),
    (
        rf"touch ({_WORD}) (\d+) ?(KiB|MiB) (once|steadily)",
        lambda name, number, unit, how: lang.Touch(name, int(number) * _SIZES[unit], how != "once"),
    ),
    (r"squeeze to (.+)", lambda text: lang.Squeeze(expression(text))),
    (r"release", lang.Release),
    (rf"namespace ({_WORD})", lang.Namespace),
    (r"panic_on_oops ([01])", lambda number: lang.PanicOnOops(number == "1")),
    (r"kdamonds (\d+)", lambda number: lang.Kdamonds(int(number))),
    (r"targets((?: \S+)*)", lambda pids: lang.Targets(tuple(pids.split()))),
    (r"schemes((?: \S+)*)", lambda actions: lang.Schemes(tuple(actions.split()))),
    (
        rf"intervals {_TIME} {_TIME} {_TIME}",
        lambda *parts: lang.Intervals(_us(*parts[:2]), _us(*parts[2:4]), _us(*parts[4:])),
    ),
)
_RULES: Final = tuple((re.compile(pattern), make) for pattern, make in _TEXTS)
