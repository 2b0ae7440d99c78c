"""What the API can refuse, by what the agent does about it."""

from damon_agent.errors import AgentError


class ApiError(AgentError):
    """The API server did not do what was asked; the agent goes on and asks again later."""


class UnreachableError(ApiError):
    """No answer: network, TLS, credentials that can't be read, time-out."""


class RefusedError(ApiError):
    """An answer other than success; carries the HTTP status."""

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what}: HTTP {status}: {message[:500]}")
        self.status = status


class ExpiredError(ApiError):
    """410: the resource version to watch from is forgotten; list again."""
