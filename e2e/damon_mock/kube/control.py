"""POST /mock/ACTION: the faults of a server that runs in another process, and its journal."""

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from damon_mock.kube.failures import ApiFailure, Body

if TYPE_CHECKING:
    from damon_mock.kube.server import ApiServer

PREFIX: Final = "/mock/"


async def handle(api: "ApiServer", request: web.BaseRequest, raw: bytes) -> web.Response:
    """Do an action. Its arguments are a JSON object; see `_act` for what there is.

    These requests are not in the journal, need no token, and no fault holds them up.
    """
    said: dict[str, Any] = json.loads(raw) if raw else {}
    action = request.path.removeprefix(PREFIX)
    if request.method == "GET" and action == "requests":
        return web.json_response([dataclasses.asdict(r) for r in api.journal])
    try:
        done = request.method == "POST" and _act(api, action, said)
    except (TypeError, KeyError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except ApiFailure as failure:
        return web.json_response(failure.body(), status=failure.code)
    return web.json_response({"done": action} if done else {}, status=200 if done else 404)


def _act(api: "ApiServer", action: str, said: Body) -> bool:
    match action:
        case "down":
            api.down_for(float(said["seconds"]))
        case "compact":
            api.compact()
        case "drop-watches":
            api.drop_watches()
        case "expire-watches":
            api.expire_watches()
        case "gap":
            api.gap(*((d["kind"], d["name"], d.get("namespace", "")) for d in said["delete"]))
        case "delay":
            api.faults.delay_s = float(said["seconds"])
        case "fail":
            api.faults.fail_next(**said)
        case "token":
            api.faults.rotate_token(said["token"])
        case "clear-requests":
            api.journal.clear()
        case _:
            return False
    return True


def access_review(path: str, raw: bytes) -> Body | None:
    """Answer "may I?" with yes, as to a cluster administrator; None for other paths."""
    if not path.startswith("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"):
        return None
    review: Body = json.loads(raw)
    return {**review, "status": {"allowed": True}}
