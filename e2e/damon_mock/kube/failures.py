"""What an API server answers when it refuses: `metav1.Status` objects with their HTTP codes.

Wording follows k8s.io/apimachinery/pkg/api/errors and pkg/util/validation/field, because people
read it and tests of clients compare it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Body = dict[str, Any]

EXPIRED_MESSAGE: Final = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


@dataclass(frozen=True)
class Cause:
    """One field that is wrong: as `details.causes[]` and as part of the message."""

    field: str
    reason: str
    message: str

    @property
    def text(self) -> str:
        """Return it as messages list it."""
        return f"{self.field}: {self.message}"

    def body(self) -> Body:
        """Return the wire form."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


def invalid_value(field: str, value: Any, message: str) -> Cause:
    """Return the cause `FIELD: Invalid value: VALUE: MESSAGE`."""
    shown = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown}: {message}")


def required(field: str, message: str = "") -> Cause:
    """Return the cause `FIELD: Required value`."""
    text = f"Required value: {message}" if message else "Required value"
    return Cause(field, "FieldValueRequired", text)


def forbidden_field(field: str, message: str) -> Cause:
    """Return the cause `FIELD: Forbidden: MESSAGE`."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {message}")


class ApiFailure(Exception):  # noqa: N818 - it is the API's word for a Status of "Failure"
    """A refusal; carries everything the answer needs."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Body | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}

    def body(self) -> Body:
        """Return the Status object."""
        status: Body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            status["details"] = self.details
        return status


class NoSuchPage(Exception):  # noqa: N818 - as above
    """404 for a path outside of the built-in API groups: its answer is text and no Status."""


def success(kind: str, group: str, name: str, uid: str) -> Body:
    """Return the Status of a deletion that is done."""
    details: Body = {"name": name, "kind": kind, "uid": uid}
    if group:
        details["group"] = group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def _about(plural: str, group: str, name: str) -> tuple[str, Body]:
    details: Body = {"name": name, "kind": plural}
    if group:
        details["group"] = group
    return (f"{plural}.{group}" if group else plural), details


def not_found(plural: str, group: str, name: str) -> ApiFailure:
    """404 for an object."""
    what, details = _about(plural, group, name)
    return ApiFailure(404, "NotFound", f'{what} "{name}" not found', details=details)


def no_such_path() -> ApiFailure:
    """404 for a path no resource lives at."""
    return ApiFailure(404, "NotFound", "the server could not find the requested resource")


def already_exists(plural: str, group: str, name: str) -> ApiFailure:
    """409 for a create."""
    what, details = _about(plural, group, name)
    return ApiFailure(409, "AlreadyExists", f'{what} "{name}" already exists', details=details)


def conflict(plural: str, group: str, name: str, why: str = "") -> ApiFailure:
    """409 for a write based on an old version."""
    what, details = _about(plural, group, name)
    why = why or (
        "the object has been modified; please apply your changes to the latest version "
        "and try again"
    )
    message = f'Operation cannot be fulfilled on {what} "{name}": {why}'
    return ApiFailure(409, "Conflict", message, details=details)


def apply_conflict(causes: Sequence[Cause]) -> ApiFailure:
    """409 for a server-side apply of fields that other managers own."""
    count = len(causes)
    plural = "s" if count > 1 else ""
    listed = "; ".join(f"{cause.message}: {cause.field}" for cause in causes)
    return ApiFailure(
        409,
        "Conflict",
        f"Apply failed with {count} conflict{plural}: {listed}",
        details={"causes": [cause.body() for cause in causes]},
    )


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiFailure:
    """422 with the fields that are wrong."""
    details: Body = {"name": name, "kind": kind, "causes": [cause.body() for cause in causes]}
    if group:
        details["group"] = group
    listed = ", ".join(cause.text for cause in causes)
    if len(causes) > 1:
        listed = f"[{listed}]"
    what = f"{kind}.{group}" if group else kind
    return ApiFailure(422, "Invalid", f'{what} "{name}" is invalid: {listed}', details=details)


def bad_request(message: str) -> ApiFailure:
    """400."""
    return ApiFailure(400, "BadRequest", message)


def forbidden(plural: str, group: str, name: str, why: str) -> ApiFailure:
    """403."""
    what, details = _about(plural, group, name)
    return ApiFailure(403, "Forbidden", f'{what} "{name}" is forbidden: {why}', details=details)


def unauthorized() -> ApiFailure:
    """401."""
    return ApiFailure(401, "Unauthorized", "Unauthorized")


def unreachable_service(why: str) -> ApiFailure:
    """503 for what is behind the API server's proxy."""
    return ApiFailure(503, "ServiceUnavailable", f"error trying to reach service: {why}")


def not_acceptable() -> ApiFailure:
    """406 for a list of which the metadata of one object is asked."""
    message = "you requested PartialObjectMetadata, but the requested object is a list"
    return ApiFailure(406, "NotAcceptable", message)


def method_not_allowed() -> ApiFailure:
    """405."""
    message = "the server does not allow this method on the requested resource"
    return ApiFailure(405, "MethodNotAllowed", message)


def unsupported_media_type(accepted: Sequence[str]) -> ApiFailure:
    """415."""
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(accepted)
    )
    return ApiFailure(415, "UnsupportedMediaType", message)


def expired_continue() -> ApiFailure:
    """410 for a page of a list that is no longer kept."""
    return ApiFailure(410, "Expired", EXPIRED_MESSAGE)


def expired_version(version: int, oldest: int) -> ApiFailure:
    """410 for a watch or a list from before the compaction."""
    return ApiFailure(410, "Expired", f"too old resource version: {version} ({oldest})")


def future_version(version: int, current: int) -> ApiFailure:
    """504 for a version this server has not reached."""
    message = f"Too large resource version: {version}, current: {current}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiFailure(
        504,
        "Timeout",
        f"Timeout: {message}",
        details={"causes": [cause], "retryAfterSeconds": 1},
        headers={"Retry-After": "1"},
    )
