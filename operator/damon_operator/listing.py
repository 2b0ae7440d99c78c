"""Reads the answer to a list object by object, so that one page is never in memory as a whole.

Pure: bytes in, objects out. An object that is too large, nested too deeply, or otherwise unreadable
is left out by itself; whose it was is read from its beginning.
"""

import codecs
import json
import re
from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple

_DECODER: Final = json.JSONDecoder()
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_TOKEN: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_METADATA: Final = re.compile(r'"metadata"\s*:\s*\{')
_FIELD: Final = re.compile(r'\s*,?\s*"(\w+)"\s*:\s*')
_HEAD: Final = 1 << 19
"""How much of an object is searched for its identity: annotations may come first, up to 256 KiB."""

_Wait = Generator[None, None, None]


class LeftOut(NamedTuple):
    """An object that could not be read."""

    metadata: dict[str, Any]
    """As much of it as could be read."""
    why: str


def left_out(text: str, error: Exception) -> LeftOut:
    """Return what is known of an object by its beginning."""
    metadata: dict[str, Any] = {}
    start = _METADATA.search(text, 0, _HEAD)
    at = start.end() if start else len(text)
    while field := _FIELD.match(text, at):
        try:
            metadata[field[1]], at = _DECODER.raw_decode(text, field.end())
        except (ValueError, RecursionError):
            break
    return LeftOut(metadata, f"{type(error).__name__}: {error}"[:200])


class ListReader:
    """Takes an answer piece by piece, and hands each object on as soon as it is complete."""

    def __init__(self, take: Callable[[object], None], most_chars: int) -> None:
        self._take = take
        self._most_chars = most_chars
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._pieces: list[str] = []
        self._waiting = 0
        self._wanted = 0
        """Characters without which there is no use in trying again."""
        self._text = ""
        self._at = 0
        self._ended = False
        self._envelope: dict[str, Any] = {}
        self._parser = self._list()
        next(self._parser)

    def feed(self, data: bytes) -> None:
        """Take a piece; raise ValueError when this is no list."""
        piece = self._decode(data)
        self._pieces.append(piece)
        self._waiting += len(piece)
        if self._waiting >= self._wanted:
            self._go_on()

    def end(self) -> dict[str, Any]:
        """Return everything but the items; raise ValueError when this was no complete list."""
        self._ended = True
        self._go_on()
        if self._envelope.get("items", ...) is not None:
            raise ValueError("the answer is no list")
        return self._envelope

    def _go_on(self) -> None:
        self._text = "".join((self._text[self._at :], *self._pieces))
        self._at, self._waiting, self._wanted = 0, 0, 0
        self._pieces.clear()
        next(self._parser, None)

    # Each of these waits for more text by yielding.

    def _list(self) -> _Wait:
        yield
        yield from self._character("{")
        while True:
            name = yield from self._value()
            yield from self._character(":")
            if name == "items" and (yield from self._peek()) == "[":
                self._envelope["items"] = None
                yield from self._items()
            else:
                self._envelope[str(name)] = yield from self._value()
            if (yield from self._character(",}")) == "}":
                return

    def _items(self) -> _Wait:
        yield from self._character("[")
        if (yield from self._peek()) == "]":
            self._at += 1
            return
        while True:
            yield from self._peek()
            yield from self._item()
            if (yield from self._character(",]")) == "]":
                return

    def _item(self) -> _Wait:
        while True:
            try:
                item, end = _DECODER.raw_decode(self._text, self._at)
                if end - self._at > self._most_chars:
                    raise ValueError("larger than is read, although all of it is here")  # noqa: TRY301 - as unreadable
            except json.JSONDecodeError as error:
                # Not all of it is there yet, or it is malformed: which, only its end can tell.
                missing = len(self._text) - self._at
                if missing > self._most_chars or self._ended:
                    yield from self._skip(error)
                    return
                yield from self._more(min(missing, self._most_chars + 1 - missing))
            except (ValueError, RecursionError) as error:
                yield from self._skip(error)
                return
            else:
                self._at = end
                self._take(item)
                return

    def _skip(self, error: Exception) -> _Wait:
        """Look for the end of an object that can't be read."""
        if self._text[self._at] not in "{[":
            raise error
        if len(self._text) - self._at > self._most_chars:
            error = ValueError(f"larger than {self._most_chars} characters")
        self._take(left_out(self._text[self._at : self._at + _HEAD], error))
        depth, quoted = 0, False
        while True:
            for token in _TOKEN.finditer(self._text, self._at):
                self._at = token.end()
                if token[0] == '"':
                    quoted = not quoted
                elif not quoted and token[0] in "{[":
                    depth += 1
                elif not quoted and token[0] in "}]":
                    depth -= 1
                if depth <= 0 and not quoted:
                    return
            # A backslash may belong to what comes next.
            self._at = max(self._at, len(self._text) - self._text.endswith("\\"))
            yield from self._more()

    def _value(self) -> Generator[None, None, object]:
        yield from self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if len(self._text) - self._at > self._most_chars:
                    raise
                end = len(self._text)
            if end < len(self._text):  # else a number may go on
                self._at = end
                return value
            yield from self._more()

    def _character(self, allowed: str) -> Generator[None, None, str]:
        found = yield from self._peek()
        if found not in allowed:
            raise ValueError(f"{found!r} stands where one of {allowed!r} should")
        self._at += 1
        return found

    def _peek(self) -> Generator[None, None, str]:
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            yield from self._more()

    def _more(self, wanted: int = 0) -> _Wait:
        if self._ended:
            raise ValueError("the answer broke off")
        self._wanted = wanted
        yield
