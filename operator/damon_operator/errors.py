# ruff: noqa: N818 - named for what the caller is told, as Kubernetes does
"""What can go wrong between the operator and the API server, by what the caller can do about it."""


class ApiError(Exception):
    """A request that failed.

    `request` is verb and path; `status` the HTTP status, 0 when there was no answer; `reason` that
    of the answered Status, or the transport's error.
    """

    def __init__(self, request: str, status: int, reason: str, message: str = "") -> None:
        said = f": {message}" if message else ""
        super().__init__(f"{request}: {status or 'no answer'} {reason}{said}")
        self.request = request
        self.status = status
        self.reason = reason
        self.message = message


class Gone(ApiError):
    """410: the resourceVersion or continue token is too old; list again."""


class NotFound(ApiError):
    """404: the object, or the whole resource (CRD not installed), is not there."""


class Conflict(ApiError):
    """409: the object exists already, or is not the one that was meant; read again."""


class Refused(ApiError):
    """Any other 4xx: repeating the request will not help until somebody changes something."""


class Unavailable(ApiError):
    """5xx, 429, no answer in time, broken connection, broken stream: try again later.

    `retry_after_s` is what the server asked for in Retry-After.
    """

    def __init__(
        self,
        request: str,
        status: int,
        reason: str,
        message: str = "",
        *,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(request, status, reason, message)
        self.retry_after_s = retry_after_s


class Unusable(Unavailable):
    """A stream that said something after which only a new list helps."""


class BadObject(Exception):
    """An API object that cannot be read; the others go on."""

    def __init__(self, kind: str, name: str, why: str) -> None:
        super().__init__(f"{kind} {name}: {why}")
        self.kind = kind
        self.name = name
        self.why = why


class PlanAltered(Exception):
    """The API server stores a plan in other words than it was given."""

    def __init__(self, node: str) -> None:
        super().__init__(
            f"the plan of {node} is stored otherwise than it was written: look for a webhook that "
            "changes DamonNodes, and for CRDs of another version than the operator's"
        )


class StartError(Exception):
    """The operator cannot run like this; the message says what to change."""


class LeaseLost(Exception):
    """This process no longer is, or no longer knows whether it is, the one that works."""
