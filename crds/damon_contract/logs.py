"""One form for the logs of both programs: a record is one line, in logfmt or JSON.

A message is words and then pairs: `_LOGGER.info("plan taken mode=%s pods=%d", mode, pods)`. The
pairs at its end become fields of their own, so that a log store can be asked for them. Whatever a
value holds, a record stays one line without control characters: texts of API objects are anybody's.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Literal

Form = Literal["logfmt", "json"]
Value = str | int | float
FORMS: Final[tuple[Form, ...]] = ("logfmt", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

_LOGGER: Final = logging.getLogger(__name__)
_PAIRS: Final = re.compile(
    r"(?:(?<=\s)|^)[a-z_0-9]+=[^\s=%]*%[^\s=]*(?:\s+[a-z_0-9]+=[^\s=%]*%[^\s=]*)*$"
)
"""The pairs at the end of a message, before its arguments are filled in."""
_CONVERSION: Final = re.compile(r"%[^%a-zA-Z]*[a-zA-Z]")
_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")
"""What logfmt leaves without quotes: printable ASCII but for space, quotes, = and backslash."""


def to_stderr(level: str, formatter: "Formatter") -> None:
    """Log everything of this level and above to stderr; `level` is one of LEVELS.

    Warnings of Python and exceptions that nobody caught are records like all others.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class Formatter(logging.Formatter):
    """Writes records as lines of one form."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self._line: Callable[[Mapping[str, Value]], str] = (
            _logfmt if form == "logfmt" else json.dumps
        )

    def format(self, record: logging.LogRecord) -> str:  # type: ignore[explicit-override]  # typing.override is of 3.12
        """Return the line, without its end."""
        return self._line(self.fields(record))

    def fields(self, record: logging.LogRecord) -> dict[str, Value]:
        """Return what the line says, in the order it says it."""
        words, pairs = _parts(record)
        said: dict[str, Value] = {
            "time": rfc3339_ms(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": words,
        }
        for key, value in pairs.items():
            said[f"{key}_" if key in said else key] = value
        if record.exc_info and record.exc_info[0] is not None:
            said["trace"] = self.formatException(record.exc_info)
        return said


def rfc3339_ms(wall_s: float) -> str:
    """Return a time as RFC 3339 with milliseconds, in UTC."""
    when = datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds")
    return when.replace("+00:00", "Z")


def _parts(record: logging.LogRecord) -> tuple[str, dict[str, Value]]:
    """Return the words and the pairs of a message."""
    template, arguments = str(record.msg), record.args
    found = _PAIRS.search(template)
    if found is None or not arguments or not isinstance(arguments, tuple):
        return record.getMessage(), {}
    words = template[: found.start()].rstrip()
    left = list(arguments)
    taken = [left.pop(0) for _ in _CONVERSION.findall(words.replace("%%", ""))]
    pairs: dict[str, Value] = {}
    for pair in found[0].split():
        key, _, value = pair.partition("=")
        filling = tuple(left.pop(0) for _ in _CONVERSION.findall(value.replace("%%", "")))
        text = value % filling
        pairs[key] = int(text) if value == "%d" else text
    return words % tuple(taken), pairs


def _logfmt(said: Mapping[str, Value]) -> str:
    return " ".join(f"{key}={_quoted(str(value))}" for key, value in said.items())


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return f'"{"".join(_escaped(character) for character in value)}"'


def _escaped(character: str) -> str:
    """Return a character as it may stand between quotes: nothing that a terminal obeys."""
    if character.isprintable() and character not in '"\\':
        return character
    return json.dumps(character)[1:-1]


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    _LOGGER.critical("ended by an error that nobody caught", exc_info=(kind, error, trace))


def _uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        trace = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        name = ended.thread.name if ended.thread else "?"
        _LOGGER.critical("a thread ended by an error thread=%s", name, exc_info=trace)
