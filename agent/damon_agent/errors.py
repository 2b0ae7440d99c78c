"""What can go wrong outside the kernel room, by what the caller can do about it."""

from typing import Final

_PATH_CHARACTERS: Final = 240
"""Shown of a path: enough for those of any runtime."""


class AgentError(Exception):
    """Base of the errors the agent raises on purpose."""


class UnreadableError(AgentError):
    """A file of the node that must be readable is not; carries path and errno."""

    def __init__(self, path: str, cause: OSError) -> None:
        super().__init__(f"{_shown(path)}: {cause.strerror or cause} (errno {cause.errno})")
        self.path = path
        self.errno = cause.errno


class MalformedError(AgentError):
    """A file of the node does not say what its manual page promises; carries path and value."""

    def __init__(self, path: str, value: str) -> None:
        super().__init__(f"{_shown(path)}: unexpected content {value[:80]!a}")
        self.path = path
        self.value = value


def _shown(path: str) -> str:
    """Return a path as printable ASCII, without the middle of a long one: pods may name cgroups."""
    text = ascii(path)[1:-1]
    if len(text) <= _PATH_CHARACTERS:
        return text
    return f"{text[: _PATH_CHARACTERS // 2]}...{text[-_PATH_CHARACTERS // 2 :]}"


class StartError(AgentError):
    """The agent must not run here; the message says why and what to change."""
