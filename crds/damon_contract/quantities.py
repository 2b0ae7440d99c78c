"""Durations and sizes as Kubernetes users write them, and the integers the kernel room works with.

The API says "220ms" and "64Mi"; microseconds and bytes exist only behind `microseconds` and
`size_bytes`. The duration grammar is the part of Go's that CEL's `duration()` reads as well.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema

DURATION_PATTERN: Final = r"^([0-9]{1,9}(ms|s|m|h))+$"
PERCENT_PATTERN: Final = r"^(100|[1-9][0-9]?)%$"
SIZE_PATTERN: Final = r"^[0-9]{1,12}(Ki|Mi|Gi|Ti|k|M|G|T)?$"

_DURATION_PART: Final = re.compile(r"([0-9]+)(ms|s|m|h)", re.ASCII)
_UNIT_US: Final = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
_UNIT_BYTES: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def microseconds(duration: str) -> int:
    """Return the length of a duration such as "220ms" or "1m30s", in microseconds.

    Raise ValueError when it is not written like one.
    """
    if not re.fullmatch(DURATION_PATTERN[1:-1], duration, re.ASCII):
        raise ValueError(f"{duration[:40]!r} is not a duration such as 500ms, 2s or 1m30s")
    return sum(int(n) * _UNIT_US[unit] for n, unit in _DURATION_PART.findall(duration))


def shown_duration(duration_us: int) -> str:
    """Return a duration as the API has it, in whole seconds, rounded up: "3m12s"."""
    minutes, seconds = divmod(-(-duration_us // _UNIT_US["s"]), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def size_bytes(size: str) -> int:
    """Return a size such as "64Mi" in bytes; raise ValueError when it is not written like one."""
    if not re.fullmatch(SIZE_PATTERN[1:-1], size, re.ASCII):
        raise ValueError(f"{size[:40]!r} is not a size such as 64Mi or 1G")
    digits = size.rstrip("KMGTki")
    return int(digits) * _UNIT_BYTES[size[len(digits) :]]


def quantity_bytes(quantity: str) -> int:
    """Return a resource.Quantity of memory, as Node.status writes it, in whole bytes.

    Accepts what the API server emits for memory: binary and decimal suffixes, "m" for thousandths,
    and exponents. Raise ValueError otherwise.
    """
    match = re.fullmatch(
        r"([0-9]+(?:\.[0-9]+)?)(m|[kMGTPE]i?|Ki|[eE][0-9]{1,2})?", quantity, re.ASCII
    )
    if match is None:
        raise ValueError(f"{quantity[:40]!r} is not a quantity")
    number, suffix = match[1], match[2] or ""
    if suffix == "m":
        return int(float(number) / 1000)
    if suffix[:1] in {"e", "E"} and len(suffix) > 1 and suffix[1].isdigit():
        return int(float(number) * 10 ** int(suffix[1:]))
    scale = {**_UNIT_BYTES, "P": 10**15, "E": 10**18, "Pi": 2**50, "Ei": 2**60}[suffix]
    whole, _, fraction = number.partition(".")
    return int(whole) * scale + (int(fraction) * scale // 10 ** len(fraction) if fraction else 0)


def shown_size(size_bytes: int) -> str:
    """Return a size for people, as a Quantity: whole Mi, or whole Gi from 10Gi on.

    Rounded up, so that only nothing is "0".
    """
    unit, name = (2**20, "Mi") if size_bytes <= 10 * 2**30 else (2**30, "Gi")
    return f"{-(-size_bytes // unit)}{name}" if size_bytes else "0"


def share_of(number: int, asked: int | str) -> int:
    """Return how many of `number` are asked for: so many, or "10%" of them, at least one."""
    if isinstance(asked, str):
        return max(1, number * int(asked.removesuffix("%")) // 100)
    return asked


def _checked_duration(value: str) -> str:
    microseconds(value)
    return value


def _checked_size(value: str) -> str:
    size_bytes(value)
    return value


Duration = Annotated[
    str, Field(max_length=32, pattern=DURATION_PATTERN), AfterValidator(_checked_duration)
]
Size = Annotated[str, Field(max_length=16, pattern=SIZE_PATTERN), AfterValidator(_checked_size)]
Permille = Annotated[int, Field(ge=0, le=1000)]
Priority = Annotated[int, Field(ge=1, le=100)]
_MOST: Final = 1_000_000
IntOrPercent = Annotated[
    Annotated[int, Field(ge=1, le=_MOST, strict=True)]
    | Annotated[str, Field(max_length=4, pattern=PERCENT_PATTERN)],
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "minimum": 1,
            "maximum": _MOST,
            "pattern": PERCENT_PATTERN,
        }
    ),
]
"""A whole number, or a percentage in quotes."""
