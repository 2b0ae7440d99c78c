"""How the kernel reads what is written to a DAMON file: `kstrto*()`, keywords, `sysfs_streq()`.

Pure. Each parser returns the text a later read shows (without the newline) or raises OSError with
the errno the store function returns. Numbers are base 0 ("0x10" is 16, "010" is 8), a plus sign and
one trailing newline are allowed, and everything after a NUL is invisible, as for any C string.
"""

import errno
import os
import re
from collections.abc import Callable, Mapping
from typing import Final

_DIGITS: Final = re.compile(rb"0[xX][0-9a-fA-F]+|[0-9]+", re.ASCII)
_INT_MAX: Final = 2**31 - 1
UINT_MAX: Final = 2**32 - 1
ULONG_MAX: Final = 2**64 - 1


def failure(code: int) -> OSError:
    """Return the OSError of an errno."""
    return OSError(code, os.strerror(code))


def text_of(data: bytes) -> bytes:
    """Return what a store function sees: one page at most, up to the first NUL."""
    return data[:4096].split(b"\0", 1)[0]


def _unsigned(data: bytes, limit: int) -> int:
    body = data.removesuffix(b"\n")
    if body.startswith(b"+"):
        body = body[1:]
    if not _DIGITS.fullmatch(body):
        raise failure(errno.EINVAL)
    if body[:2].lower() == b"0x":
        number = int(body, 16)
    elif body.startswith(b"0"):
        if re.search(rb"[89]", body):
            raise failure(errno.EINVAL)
        number = int(body, 8)
    else:
        number = int(body, 10)
    if number > limit:
        raise failure(errno.ERANGE)
    return number


def ulong(data: bytes) -> int:
    """Parse as `kstrtoul(…, 0, …)`: 0 to 2^64 - 1."""
    return _unsigned(data, ULONG_MAX)


def uint(data: bytes) -> int:
    """Parse as `kstrtouint(…, 0, …)`: 0 to 2^32 - 1."""
    return _unsigned(data, UINT_MAX)


def integer(data: bytes) -> int:
    """Parse as `kstrtoint(…, 0, …)`: -2^31 to 2^31 - 1."""
    if data.startswith(b"-"):
        if data[1:2] == b"+":
            raise failure(errno.EINVAL)
        return -_unsigned(data[1:], _INT_MAX + 1)
    return _unsigned(data, _INT_MAX)


def boolean(data: bytes, *, enable_is_true: bool = False) -> bool:
    """Parse as `kstrtobool()`: only the first letter counts, two for "on" and "off".

    enable_is_true: newer kernels know the words enable and disable, by their first letters.
    """
    lowered = data[:2].lower()
    if lowered[:1] in {b"y", b"t", b"1"} or lowered == b"on":
        return True
    if lowered[:1] in {b"n", b"f", b"0"} or lowered == b"of":
        return False
    if enable_is_true and lowered[:1] in {b"e", b"d"}:
        return lowered[:1] == b"e"
    raise failure(errno.EINVAL)


def word(data: bytes, accepted: frozenset[str]) -> str:
    """Parse a keyword as `sysfs_streq()` compares: exact, but for one trailing newline."""
    found = data.removesuffix(b"\n").decode("latin-1")
    if found not in accepted:
        raise failure(errno.EINVAL)
    return found


def count(data: bytes) -> int:
    """Parse the number written to an `nr_*` file: a non-negative int."""
    number = integer(data)
    if number < 0:
        raise failure(errno.EINVAL)
    return number


def _nonzero(data: bytes) -> int:
    number = ulong(data)
    if not number:
        raise failure(errno.EINVAL)
    return number


def _priority(data: bytes) -> int:
    number = _invalid_if_any(ulong)(data)
    if not 1 <= number <= 100:
        raise failure(errno.EINVAL)
    return number


def _invalid_if_any(parser: Callable[[bytes], int]) -> Callable[[bytes], int]:
    def parse(data: bytes) -> int:
        try:
            return parser(data)
        except OSError:
            raise failure(errno.EINVAL) from None

    return parse


def _numbers() -> Mapping[str, Callable[[bytes], int]]:
    return {
        "ulong": ulong,
        "ulong-einval": _invalid_if_any(ulong),
        "uint": uint,
        "uint-einval": _invalid_if_any(uint),
        "int": integer,
        "int-einval": _invalid_if_any(integer),
        "nonzero": _nonzero,
        "priority": _priority,
    }


_NUMBERS: Final = _numbers()


def stored(
    kind: str,
    data: bytes,
    words: Mapping[str, frozenset[str]],
    *,
    enable_is_true: bool = False,
) -> str:
    """Return the value a scalar file of this kind holds after `data` was written to it.

    `kind` is one of the number kinds above, "bool", "text" or "word:<set of `words`>".
    """
    data = text_of(data)
    if kind in _NUMBERS:
        return str(_NUMBERS[kind](data))
    if kind == "bool":
        return "Y" if boolean(data, enable_is_true=enable_is_true) else "N"
    if kind == "text":
        return data.decode("latin-1")
    return word(data, words[kind.removeprefix("word:")])
