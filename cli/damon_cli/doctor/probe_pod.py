"""The probe in a pod on the node: made, waited for, read, and taken away whatever happens."""

import secrets
import time
from contextlib import ExitStack, suppress
from importlib import resources
from typing import Any, Final

from damon_cli import output, signals
from damon_cli.client import Client, Raw, object_path, of_namespace
from damon_cli.errors import CliError, ForbiddenError, RefusedError, UnreachableError
from damon_cli.wait import Wait

IMAGE: Final = "docker.io/library/busybox:1.37"
"""Anything with sh, cat, find, grep, ls, sed, sort and uniq will do."""
WAIT_S: Final = 120.0
"""How long the image may take to be pulled, and the probe to run."""
_DELETE_S: Final = 10.0
_APART_S: Final = 0.5
_NEVER: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"}
    | {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
"""Reasons to wait that do not pass by themselves."""


def script() -> str:
    """Return the probe, a script for sh."""
    return resources.files("damon_cli.doctor").joinpath("probe.sh").read_text(encoding="utf-8")


def manifest(name: str, node: str, image: str) -> Raw:
    """Return the pod: it sees the node's /proc and /sys, read-only, and has no other privilege."""
    parts = ("proc", "sys")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {
                "app.kubernetes.io/name": "damon-probe",
                "app.kubernetes.io/managed-by": "kubectl-damon",
            },
        },
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": int(WAIT_S),
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "command": ["sh", "-c", script(), "probe", "/host"],
                    "securityContext": {
                        "runAsUser": 0,  # files of DAMON are root's alone
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"cpu": "1", "memory": "128Mi"},
                    },
                    "volumeMounts": [
                        {
                            "name": part,
                            "mountPath": f"/host/{part}",
                            "readOnly": True,
                            # What is mounted below as well, where the node's runtime can do that.
                            "recursiveReadOnly": "IfPossible",
                        }
                        for part in parts
                    ],
                }
            ],
            "volumes": [
                {"name": part, "hostPath": {"path": f"/{part}", "type": "Directory"}}
                for part in parts
            ],
        },
    }


def run(client: Client, node: str, image: str, wait_s: float = WAIT_S) -> str:
    """Return what the probe prints on a node; raise CliError with what to do instead."""
    name = f"damon-probe-{secrets.token_hex(4)}"
    pods = of_namespace(client.namespace, "pods")
    with ExitStack() as last:
        # First, because it may be there even if no answer comes back.
        last.callback(_take_away, client, pods, name)
        try:
            client.create(pods, manifest(name, node, image))
        except (ForbiddenError, RefusedError) as error:
            last.pop_all()
            raise _refused(error, node) from error
        wait = Wait.lasting(wait_s)
        _await(client, pods, name, wait, wait_s)
        return wait.answer(lambda: client.text(f"{object_path(pods, name)}/log?container=probe"))


def by_hand(node: str) -> str:
    """Return the command that does the same without the API's pods."""
    return f"kubectl damon doctor --print-probe | ssh {node} sudo sh -s / > probe.txt"


def _refused(error: CliError, node: str) -> CliError:
    return ForbiddenError(
        f"the probe's pod is refused: {error.message}",
        f"choose a namespace that may have pods with hostPath (-n), or run it by hand: "
        f"`{by_hand(node)}`, then `kubectl damon doctor -f probe.txt`",
    )


def _await(client: Client, pods: str, name: str, wait: Wait, wait_s: float) -> None:
    """Return when the probe has run; raise CliError when it cannot, or not in time."""
    pod: Raw = {}
    while (left_s := wait.left_s) > 0:
        pod = wait.answer(lambda: client.get(object_path(pods, name)))
        phase = (pod.get("status") or {}).get("phase")
        if phase == "Succeeded":
            return
        reason, message = _waits(pod)
        if phase == "Failed" or reason in _NEVER:
            raise _failed(pod, f"{reason} {message}".strip() or str(phase))
        _until_changed(client, pods, pod, left_s)
    reason, message = _waits(pod)
    why = f"{reason} {message}".strip() or "its node does not start it"
    raise _failed(pod, f"not done after {wait_s:.0f} s: {why}")


def _failed(pod: Raw, why: str) -> CliError:
    spec, name = pod.get("spec") or {}, (pod.get("metadata") or {}).get("name")
    image = next((c.get("image") for c in spec.get("containers") or ()), "")
    node = str(spec.get("nodeName") or "NODE")
    return UnreachableError(
        f"the probe's pod {name} on {node} (image {image}): {why}",
        f"--image chooses one that the node can pull; or run it by hand: `{by_hand(node)}`",
    )


def _waits(pod: Raw) -> tuple[str, str]:
    """Return why the pod does not run, or how it ended."""
    status: dict[str, Any] = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        said = state.get("waiting") or state.get("terminated") or {}
        if said:
            return str(said.get("reason") or ""), str(said.get("message") or "")
    return str(status.get("reason") or ""), str(status.get("message") or "")


def _until_changed(client: Client, pods: str, pod: Raw, most_s: float) -> None:
    """Return when the pod has changed, or the watch is over."""
    began, metadata = time.monotonic(), pod["metadata"]
    only = f"metadata.name={metadata['name']}"
    version = str(metadata["resourceVersion"])
    with suppress(UnreachableError):
        for event in client.watch(pods, version, fields=only, timeout_s=most_s):
            if event.get("type") != "BOOKMARK":
                break
    time.sleep(max(0.0, min(_APART_S, most_s) - (time.monotonic() - began)))


def _take_away(client: Client, pods: str, name: str) -> None:
    try:
        with signals.held():
            Wait.lasting(_DELETE_S).answer(lambda: client.delete(object_path(pods, name)))
    except CliError as error:
        namespace = pods.split("/")[-2]
        output.say(f"the probe's pod could not be deleted: {error.message}")
        output.say(f"  -> kubectl delete pod {name} -n {namespace}")
