"""What ends a command, by the exit status that a script sees. docs/kubectl-damon.md lists them."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit statuses of every command."""

    FINE = 0
    NOT_MET = 1
    """The answer is no: not ready in time, a check that failed, a tuning that would be refused."""
    USAGE = 2
    """The command line, or a file that it names, cannot be used, or the answer not written."""
    NO_ANSWER = 3
    """The cluster gives no answer: out of reach, not allowed, no CRDs, no such object."""
    DEFECT = 4
    """A defect of this program."""
    INTERRUPTED = 130


class CliError(Exception):
    """Something that a person can mend: what is the case, and what to do next."""

    exit = Exit.NO_ANSWER

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class UsageError(CliError):
    """What was asked cannot be done as it was written."""

    exit = Exit.USAGE


class KubeconfigError(CliError):
    """The kubeconfig names no API server that can be used."""

    exit = Exit.USAGE


class OutputError(CliError):
    """The answer cannot be written."""

    exit = Exit.USAGE

    def __init__(self, name: str, error: OSError) -> None:
        super().__init__(f"{name} cannot be written: {error.strerror}")
        self.errno = error.errno


class UnreachableError(CliError):
    """No answer from the API server, or one that is no answer: asking again may bring one.

    `retry_after_s` is the pause that the server asks for.
    """

    def __init__(self, message: str, remedy: str = "", *, retry_after_s: float = 0.0) -> None:
        super().__init__(message, remedy)
        self.retry_after_s = retry_after_s


class UnreadableError(CliError):
    """An object of the cluster that cannot be read: asking again brings the same."""


class ForbiddenError(CliError):
    """401 or 403."""


class NotFoundError(CliError):
    """404 of an object."""


class NotInstalledError(CliError):
    """404 of a whole resource: its CRD is not installed."""


class RefusedError(CliError):
    """Another 4xx. `message` is the API server's."""

    exit = Exit.NOT_MET

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
