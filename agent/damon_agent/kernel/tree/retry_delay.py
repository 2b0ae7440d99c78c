"""How long to leave something alone that keeps failing. Pure."""


class RetryDelay:
    """A delay that doubles with every failure, between two bounds."""

    def __init__(self, shortest_us: int, longest_us: int) -> None:
        self._shortest_us = shortest_us
        self._longest_us = longest_us
        self._delay_us = 0
        self.until_us = 0
        """Before this nothing is to be tried."""
        self.since_us = 0
        """When the series of failures began."""

    def lengthen(self, now_us: int) -> None:
        """Note a failure."""
        if not self._delay_us:
            self.since_us = now_us
        self._delay_us = min(max(self._shortest_us, 2 * self._delay_us), self._longest_us)
        self.until_us = now_us + self._delay_us

    def holds(self, now_us: int) -> bool:
        """Whether it is too early to try again."""
        return now_us < self.until_us

    def release(self) -> None:
        """Allow a try at once; the next failure still continues the series."""
        self.until_us = 0

    def clear(self) -> None:
        """Note that it works: the next failure begins a new series."""
        self._delay_us = 0
        self.until_us = 0
