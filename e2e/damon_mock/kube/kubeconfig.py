"""Kubeconfig files for the embedded server."""

import base64
import json
from pathlib import Path

from damon_mock.kube.failures import Body


def document(url: str, *, authority_pem: bytes = b"", token: str = "") -> Body:
    """Return a kubeconfig with one context."""
    cluster: Body = {"server": url}
    if authority_pem:
        cluster["certificate-authority-data"] = base64.b64encode(authority_pem).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "mock", "cluster": cluster}],
        "users": [{"name": "mock", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "mock", "context": {"cluster": "mock", "user": "mock"}}],
        "current-context": "mock",
    }


def write(path: Path, config: Body) -> Path:
    """Write it as a file only its owner can read (it may hold a token); return the path."""
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return path
