"""Sizes and shares for people."""

from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def shown_bytes(size: int | None) -> str:
    """Return a size with three digits at most and its unit; - where it is not known."""
    if size is None:
        return "-"
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 0 if unit == 0 or value >= 10 or value == int(value) else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"


def percent(permille: int) -> str:
    """Return per mille as a percentage, which people say."""
    return f"{permille / 10:.1f} %"
