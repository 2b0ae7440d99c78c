"""What the API can refuse, by what the agent does about it."""

from damon_agent.errors import AgentError


class ApiError(AgentError):
    """The API server did not do what was asked; the agent goes on and asks again later.

    `status` is the HTTP status, 0 without an answer; `retry_after_s` what the server asked for.
    """

    def __init__(self, message: str, *, status: int = 0, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class UnreachableError(ApiError):
    """No answer, or one that broke off: network, TLS, credentials that can't be read, time-out."""


class UnusableError(ApiError):
    """An answer that says nothing: an ERROR event, no JSON, no list, larger than can be."""


class RefusedError(ApiError):
    """An answer other than success."""

    def __init__(self, what: str, status: int, message: str, *, retry_after_s: float = 0.0) -> None:
        text = f"{what}: HTTP {status}: {message[:500]}"
        super().__init__(text, status=status, retry_after_s=retry_after_s)
