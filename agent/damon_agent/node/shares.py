"""Fair shares of what there is not enough of. Pure."""

from collections.abc import Iterable


def fair_share(wanted: Iterable[int], most: int) -> int:
    """Return the largest share such that all together take no more than `most`.

    Whoever wants less than the share gets all of it, and what he leaves is for the others: one who
    wants thousands takes nothing from those who want a few.
    """
    rest, left = sorted(wanted), most
    for position, each in enumerate(rest):
        share = left // (len(rest) - position)
        if each > share:
            return share
        left -= each
    return most
