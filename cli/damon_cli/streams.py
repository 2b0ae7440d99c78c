"""The standard streams of the process, made so that no text and no reader ends a command.

- A character that a terminal's encoding lacks is written as an escape.
- A reader that has seen enough (`| head`) changes no exit status: the rest is written to nobody.
  The signal that ends other programs then would leave behind what a command has made.
- Output that cannot be written otherwise, on a full disk for one, is an OutputError. It is no
  OSError, because click and rich end the program for some of these in their own way.
- A stream that was closed before the start is the null device.
"""

import codecs
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from damon_cli.errors import OutputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Descriptor(io.FileIO):
    """A file descriptor that takes everything once nobody reads it any more."""

    def __init__(self, descriptor: int, name: str, *, tells: bool) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.lost = False
        """Whether what is written goes nowhere."""
        self._said_as = name
        self._tells = tells

    def write(self, data: "ReadableBuffer", /) -> int:  # type: ignore[explicit-override]
        """Write; raise OutputError once if that fails, unless the reader has gone."""
        size = memoryview(data).nbytes
        if self.lost:
            return size
        try:
            return super().write(data)
        except OSError as error:
            self.lost = True
            if self._tells and not isinstance(error, BrokenPipeError):
                raise OutputError(self._said_as, error) from error
            return size


def prepare() -> None:
    """Replace the streams that Python has opened; those that a test has put there stay."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - for good
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _writer(sys.stdout, "standard output", tells=True)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _writer(sys.stderr, "standard error", tells=False)


def is_unread() -> bool:
    """Say whether nobody reads standard output any more, as far as writing to it has shown."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Descriptor) and raw.lost


def is_utf8() -> bool:
    """Say whether standard output is UTF-8, which JSON, YAML and HTML files are."""
    return codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"


def _writer(before: TextIO | None, name: str, *, tells: bool) -> TextIO:
    if before is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - for good
    before.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(before.fileno(), name, tells=tells)),
        encoding=before.encoding,
        errors="backslashreplace",
        line_buffering=not tells or before.isatty(),
    )
