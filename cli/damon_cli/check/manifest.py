"""The namespace and the pods of a check. Pure."""

from typing import Any, Final

from damon_contract import names

COLD_BYTES: Final = 64 << 20
HOT_BYTES: Final = 16 << 20
PROGRAM_BYTES: Final = 24 << 20
"""At most: what the interpreter has in memory, most of it used once."""
CONTAINER: Final = "main"
"""Others may be put beside it by the cluster's webhooks."""
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "kubectl-damon-check"}
_USER: Final = 65532


def namespace(name: str) -> dict[str, Any]:
    """Return the namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": dict(MANAGED_BY)},
    }


def pod(
    name: str, node: str, priority: int, *, image: str, program: str, ends_after_s: int
) -> dict[str, Any]:
    """Return a pod of a priority on a node.

    Burstable, because LimitedSwap gives no swap to others; it may run where pods are restricted,
    and on a node that takes no new ones. It ends by itself, should nobody be left to delete it.
    """
    command = ["python3", "-c", program, str(COLD_BYTES >> 20), str(HOT_BYTES >> 20)]
    container = {
        "name": CONTAINER,
        "image": image,
        "command": command,
        "resources": {
            "requests": {"cpu": "20m", "memory": "128Mi"},
            "limits": {"memory": "192Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": dict(MANAGED_BY),
            "annotations": {names.PRIORITY_ANNOTATION: str(priority)},
        },
        "spec": {
            "nodeName": node,
            "tolerations": [{"operator": "Exists"}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "activeDeadlineSeconds": ends_after_s,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }
