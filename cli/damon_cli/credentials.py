"""Credential plugins of a kubeconfig: a program that prints an ExecCredential.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from damon_cli.errors import KubeconfigError

_VERSIONS: Final = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)
_PLUGIN_S: Final = 120
"""A person may have to answer a browser or a key."""
_EARLY: Final = timedelta(seconds=30)
"""A credential that ends so soon is fetched anew."""


@dataclass(frozen=True)
class Credential:
    """What a plugin has answered."""

    token: str = ""
    certificate_pem: bytes = b""
    key_pem: bytes = b""
    expires: datetime | None = None


@dataclass
class ExecPlugin:
    """One plugin; it is asked once, and again when its answer expires."""

    api_version: str
    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    hint: str
    _credential: Credential | None = field(default=None, init=False)

    @classmethod
    def of(
        cls,
        entry: Mapping[str, Any],
        home: Path,
        cluster: Mapping[str, Any],
        environment: Mapping[str, str],
    ) -> Self:
        """Return the plugin that the `exec` of a user in a kubeconfig describes."""
        version = str(entry.get("apiVersion") or "")
        if version not in _VERSIONS:
            raise KubeconfigError(
                f"the kubeconfig's credential plugin speaks {version or 'no version'}",
                f"known are {' and '.join(_VERSIONS)}: let your provider write it anew",
            )
        command = str(entry.get("command") or "")
        if os.sep in command:
            command = str(home / command)
        spec: dict[str, Any] = {"interactive": _interactive(entry)}
        if entry.get("provideClusterInfo"):
            spec["cluster"] = _described(cluster)
        info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
        listed = [each for each in entry.get("env") or () if isinstance(each, dict)]
        named = {str(each.get("name")): str(each.get("value") or "") for each in listed}
        return cls(
            version,
            command,
            tuple(map(str, entry.get("args") or ())),
            {**environment, **named, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            str(entry.get("installHint") or "").strip(),
        )

    def token(self) -> str:
        """Return a token that is still good."""
        return self.credential().token

    def credential(self) -> Credential:
        """Return what the plugin answered; ask it if that has expired."""
        known = self._credential
        if known is None or (known.expires and known.expires < datetime.now(UTC) + _EARLY):
            self._credential = known = self._asked()
        return known

    def _asked(self) -> Credential:
        program = shutil.which(self.command, path=self.environment.get("PATH"))
        if program is None:
            hint = self.hint or "install it, or choose another context"
            raise KubeconfigError(f"{self.command}: the kubeconfig's plugin is not found", hint)
        try:
            ran = subprocess.run(  # noqa: S603 - it is the kubeconfig's
                [program, *self.arguments],
                env=dict(self.environment),
                stdout=subprocess.PIPE,
                check=False,
                timeout=_PLUGIN_S,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise KubeconfigError(f"{self.command}: {error}") from error
        if ran.returncode != 0:
            raise KubeconfigError(
                f"{self.command}, the kubeconfig's credential plugin, ended with {ran.returncode}",
                "log in again; what it said is above",
            )
        return _read(ran.stdout, self.command)


def _interactive(entry: Mapping[str, Any]) -> bool:
    return entry.get("interactiveMode") != "Never" and sys.stdin.isatty()


def _described(cluster: Mapping[str, Any]) -> dict[str, Any]:
    extensions = [
        e.get("extension")
        for e in cluster.get("extensions") or ()
        if isinstance(e, dict) and e.get("name") == "client.authentication.k8s.io/exec"
    ]
    known = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
    described = {name: cluster[name] for name in known if name in cluster}
    described["certificate-authority-data"] = cluster.get("certificate-authority-data")
    described["config"] = extensions[0] if extensions else None
    return {name: value for name, value in described.items() if value is not None}


def _instant(text: str) -> datetime:
    """Return an instant as RFC 3339 has it; client-go reads no other, and none without a zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"expirationTimestamp {text!r} has no zone")
    return instant


def _read(output: bytes, command: str) -> Credential:
    try:
        status = json.loads(output)["status"]
        expires = status.get("expirationTimestamp")
        return Credential(
            token=str(status.get("token") or ""),
            certificate_pem=str(status.get("clientCertificateData") or "").encode(),
            key_pem=str(status.get("clientKeyData") or "").encode(),
            expires=_instant(expires) if expires else None,
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise KubeconfigError(f"{command}: its answer is no ExecCredential: {error!r}") from error
