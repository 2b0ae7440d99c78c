"""How long to wait before trying again."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Delays that double from `first_s` to `most_s`, each shortened by up to half at random.

    The randomness keeps the replicas and streams of many clusters' operators from knocking at the
    same moment once an API server is back.
    """

    random: Callable[[], float]
    """Returns a number in [0, 1)."""
    first_s: float = 0.5
    most_s: float = 30.0

    def delay_s(self, failures: int, asked_s: float = 0.0) -> float:
        """Return the delay after so many failures in a row, at least what the server asked for."""
        if failures <= 0:
            return asked_s
        full = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 30))
        return max(asked_s, full * (1 - self.random() / 2))
