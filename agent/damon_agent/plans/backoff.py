"""How long to wait before asking the API again."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubling delays with jitter, so that the agents of a cluster do not come back in step.

    The numbers are those of client-go's reflector: 800 ms to 30 s, up to twice that by jitter.
    """

    first_s: float = 0.8
    most_s: float = 30.0
    _failures: int = 0

    def failed(self) -> float:
        """Note a failure; return how many seconds to wait."""
        delay_s = min(self.most_s, self.first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay_s * (1 + random.random())  # noqa: S311 - jitter, no secret

    def succeeded(self) -> None:
        """Start again at the first delay."""
        self._failures = 0
