"""The disk that the record is on."""

from damon_agent.kernel.ownership.record import StateDirectory
from damon_agent.kernel.tree.errors import StateUnwritable


class StateDisk:
    """While it is full nothing can be written; reading and removing works."""

    def __init__(self, monkeypatch) -> None:
        self.is_full = False
        write = StateDirectory.write

        def written(directory: StateDirectory, name: str, text: str) -> None:
            if self.is_full:
                raise StateUnwritable("cannot write to state: No space left on device")
            write(directory, name, text)

        monkeypatch.setattr(StateDirectory, "write", written)
