"""What can go wrong outside the kernel room, by what the caller can do about it."""


class AgentError(Exception):
    """Base of the errors the agent raises on purpose."""


class UnreadableError(AgentError):
    """A file of the node that must be readable is not; carries path and errno."""

    def __init__(self, path: str, cause: OSError) -> None:
        super().__init__(f"{path}: {cause.strerror or cause} (errno {cause.errno})")
        self.path = path
        self.errno = cause.errno


class MalformedError(AgentError):
    """A file of the node does not say what its manual page promises; carries path and value."""

    def __init__(self, path: str, value: str) -> None:
        super().__init__(f"{path}: unexpected content {value[:80]!r}")
        self.path = path
        self.value = value


class StartError(AgentError):
    """The agent must not run here; the message says why and what to change."""
