"""Ways in which an API server lets its clients down, on demand."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from damon_mock.kube import failures
from damon_mock.kube.failures import ApiFailure, Body
from damon_mock.kube.journal import Request
from damon_mock.kube.store import encode


@dataclass
class Refusal:
    """The next `count` requests that match are answered with `status`."""

    count: int
    status: int
    method: str = ""
    """Any method when empty."""
    path: str = ""
    """Part of the path; any path when empty."""
    retry_after_seconds: int = 0
    message: str = ""

    def matches(self, request: Request) -> bool:
        """Whether it is for this request."""
        return self.count > 0 and self.method in {"", request.method} and self.path in request.path


@dataclass
class Faults:
    """What is wrong now; change it at will, each request looks at it."""

    tokens: frozenset[str] = frozenset()
    """Bearer tokens that are accepted; empty: no token is asked for."""
    expired_as_status: bool = False
    """Answer a watch from before the compaction with HTTP 410, not with an ERROR event in 200."""
    refusals: list[Refusal] = field(default_factory=list)
    on_write: Callable[[Request, Body], Body] | None = None
    """What somebody in between makes of the answer to a write; a ConnectionError loses it."""

    def fail_next(
        self,
        count: int,
        status: int,
        *,
        method: str = "",
        path: str = "",
        retry_after_s: int = 0,
        message: str = "ordered by the mock",
    ) -> None:
        """Answer the next `count` requests that match with an HTTP status."""
        self.refusals.append(Refusal(count, status, method, path, retry_after_s, message))

    def rotate_token(self, token: str) -> None:
        """Accept this bearer token from now on, and no other."""
        self.tokens = frozenset({token})

    def before(self, request: Request, authorization: str) -> None:
        """Refuse a request, as ordered."""
        scheme, _, token = authorization.partition(" ")
        if self.tokens and (scheme.lower() != "bearer" or token.strip() not in self.tokens):
            # The scheme's case does not matter (RFC 9110, 11.1); the sync client writes "bearer".
            raise failures.unauthorized()
        for refusal in self.refusals:
            if refusal.matches(request):
                refusal.count -= 1
                raise _ordered(refusal)
        self.refusals = [refusal for refusal in self.refusals if refusal.count > 0]

    def after(self, request: Request, answer: bytes) -> bytes:
        """Return what the client gets to read of the answer to a request."""
        if self.on_write is None or not request.is_write:
            return answer
        return encode(self.on_write(request, json.loads(answer)))


def _ordered(refusal: Refusal) -> ApiFailure:
    reasons = {
        401: "Unauthorized",
        403: "Forbidden",
        404: "NotFound",
        409: "Conflict",
        410: "Expired",
        422: "Invalid",
        429: "TooManyRequests",
        500: "InternalError",
        503: "ServiceUnavailable",
        504: "Timeout",
    }
    headers = {}
    if refusal.retry_after_seconds:
        headers["Retry-After"] = str(refusal.retry_after_seconds)
    reason = reasons.get(refusal.status, "")
    return ApiFailure(refusal.status, reason, refusal.message, headers=headers)
