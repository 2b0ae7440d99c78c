"""The operator's logs: the form is that of both programs, kopf's records included."""

import logging
from typing import Final

from damon_contract import logs
from damon_contract.logs import Form, Value

_ANSWERS: Final = "kopf._cogs.clients."
"""Where kopf has the exceptions that stand for answers of the API server."""


class Formatter(logs.Formatter):
    """Names the object that a record of kopf is about.

    Of an answer of the API server that kopf did not expect, such as 410 to a watch, the words are
    told and no trace: it would show kopf's own code, and the operator begins anew.
    """

    def fields(self, record: logging.LogRecord) -> dict[str, Value]:  # type: ignore[explicit-override]  # typing.override is of 3.12
        """Return what the line says, in the order it says it."""
        said = super().fields(record)
        about = getattr(record, "k8s_ref", None)
        if isinstance(about, dict):
            parts = (about.get("kind"), about.get("namespace"), about.get("name"))
            said["object"] = "/".join(str(part) for part in parts if part)
        if record.exc_info and type(record.exc_info[1]).__module__.startswith(_ANSWERS):
            said.pop("trace", None)
        return said


def to_stderr(level: str, form: Form) -> None:
    """Log messages of this level ("debug" to "error") and above."""
    logs.to_stderr(level, Formatter(form))
    if level != "debug":  # a line per handler call and per probe tells nobody anything
        for chatty in ("kopf.objects", "kopf.activities", "aiohttp.access"):
            logging.getLogger(chatty).setLevel("WARNING")
