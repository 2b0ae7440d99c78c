"""Which API server to ask, and as whom: kubeconfig files by kubectl's rules.

Own code, and not the `kubernetes` client's: that takes a third of a second to import, and compiled
dependencies with it (docs/adr/0021-kubectl-damon.md).
"""

import base64
import binascii
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from damon_cli.credentials import ExecPlugin
from damon_cli.errors import KubeconfigError
from damon_contract.access import SERVICE_ACCOUNT, Access, AccessError, proxy_for

_Named = dict[str, tuple[dict[str, Any], Path]]
"""Entries of one kind by name, each with the directory that its relative paths start from."""

_IN_POD: Final = "the pod's service account"


@dataclass(frozen=True)
class Connection:
    """One API server, one user, one namespace."""

    access: Access
    context: str
    """Name of the context, for people."""
    namespace: str
    """Where namespaced objects are looked for unless the command says otherwise."""
    headers: tuple[tuple[str, str], ...] = ()
    """Basic authorization and impersonation."""


@dataclass
class _Merged:
    """Several files as kubectl merges them: the first that says something wins."""

    current: str = ""
    clusters: _Named = field(default_factory=dict)
    contexts: _Named = field(default_factory=dict)
    users: _Named = field(default_factory=dict)


def connection(
    path: str,
    context: str,
    namespace: str,
    *,
    environment: Mapping[str, str],
    private: Path,
) -> Connection:
    """Return what to connect with; an empty text means that the command line does not say.

    `private` is a directory for keys and certificates that stand in the kubeconfig itself: the TLS
    library reads files. Raise KubeconfigError.
    """
    files = _files(path, environment)
    merged = _merged(files)
    if not merged.contexts and not path and not context and SERVICE_ACCOUNT.exists():
        return _of_pod(namespace, environment)
    name = context or merged.current
    if not name:
        raise KubeconfigError(
            f"no kubeconfig with a current context: looked at {', '.join(map(str, files))}",
            "name one with --kubeconfig or KUBECONFIG, and its context with --context",
        )
    chosen, _ = _entry(merged.contexts, name, "context")
    cluster, cluster_home = _entry(merged.clusters, str(chosen.get("cluster") or ""), "cluster")
    user_name = str(chosen.get("user") or "")
    user, user_home = _entry(merged.users, user_name, "user") if user_name else ({}, Path())
    access = _access(cluster, cluster_home, user, user_home, environment, private)
    return Connection(
        access=access,
        context=name,
        namespace=namespace or str(chosen.get("namespace") or "default"),
        headers=_headers(user),
    )


def context_names(path: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of all contexts."""
    return tuple(_merged(_files(path, environment)).contexts)


def _files(path: str, environment: Mapping[str, str]) -> tuple[Path, ...]:
    if path:
        if not Path(path).is_file():
            raise KubeconfigError(f"{path}: there is no such kubeconfig")
        return (Path(path),)
    named = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        return tuple(Path(part).expanduser() for part in named)
    return (Path("~/.kube/config").expanduser(),)


def _merged(files: Sequence[Path]) -> _Merged:
    merged = _Merged()
    for file in files:
        if not file.exists():
            continue
        document = _read(file)
        home = file.resolve().parent
        merged.current = merged.current or str(document.get("current-context") or "")
        for kind, inner, known in (
            ("clusters", "cluster", merged.clusters),
            ("contexts", "context", merged.contexts),
            ("users", "user", merged.users),
        ):
            for entry in document.get(kind) or ():
                if isinstance(entry, dict) and isinstance(entry.get(inner), dict):
                    known.setdefault(str(entry.get("name")), (entry[inner], home))
    return merged


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        with file.open(encoding="utf-8") as text:
            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise KubeconfigError(f"{file}: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{file}: no kubeconfig")
    return document


def _entry(known: _Named, name: str, kind: str) -> tuple[dict[str, Any], Path]:
    try:
        return known[name]
    except KeyError:
        names = ", ".join(sorted(known)) or "none"
        raise KubeconfigError(
            f"the kubeconfig has no {kind} {name!r}", f"it has: {names}"
        ) from None


def _of_pod(namespace: str, environment: Mapping[str, str]) -> Connection:
    try:
        access = Access.of_pod(SERVICE_ACCOUNT, environment)
        own = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (AccessError, OSError) as error:
        raise KubeconfigError(f"{_IN_POD} cannot be used: {error}") from error
    return Connection(access, _IN_POD, namespace or own)


def _access(  # noqa: PLR0917 - two entries with their directories
    cluster: Mapping[str, Any],
    cluster_home: Path,
    user: Mapping[str, Any],
    user_home: Path,
    environment: Mapping[str, str],
    private: Path,
) -> Access:
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("http://", "https://")):
        raise KubeconfigError(f"the kubeconfig's cluster has no usable server: {server!r}")
    if user.get("auth-provider"):
        raise KubeconfigError(
            "the kubeconfig's user has an auth-provider, which kubectl dropped in 1.26",
            "let your provider write a kubeconfig with `exec` credentials",
        )
    authority = _file(cluster, "certificate-authority", cluster_home, private)
    certificate = _file(user, "client-certificate", user_home, private)
    key = _file(user, "client-key", user_home, private)
    token: Callable[[], str] = lambda: ""  # noqa: E731 - one of three
    if user.get("tokenFile"):
        token = (user_home / str(user["tokenFile"])).read_text
    elif user.get("token"):
        token = lambda: str(user["token"])  # noqa: E731
    elif isinstance(user.get("exec"), dict):
        plugin = ExecPlugin.of(user["exec"], user_home, cluster, environment)
        credential = plugin.credential()
        token = plugin.token
        if credential.certificate_pem and credential.key_pem:
            certificate = _written(private / "exec.crt", credential.certificate_pem)
            key = _written(private / "exec.key", credential.key_pem)
    return Access(
        server,
        ca_path=authority,
        token=token,
        certificate_path=str(certificate) if certificate else None,
        key_path=str(key) if key else None,
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=cluster.get("tls-server-name") or None,
        proxy=cluster.get("proxy-url") or proxy_for(server, environment),
    )


def _file(entry: Mapping[str, Any], name: str, home: Path, private: Path) -> Path | None:
    """Return the file an entry names, or one with what it holds as base64, which wins."""
    if data := entry.get(f"{name}-data"):
        try:
            return _written(private / name, base64.b64decode(str(data), validate=True))
        except binascii.Error as error:
            raise KubeconfigError(f"{name}-data of the kubeconfig is no base64: {error}") from error
    if named := entry.get(name):
        file = home / str(named)
        if not file.is_file():
            raise KubeconfigError(f"{file}: the kubeconfig names it as {name}, and it is not there")
        return file
    return None


def _written(file: Path, content: bytes) -> Path:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(content)
    return file


def _headers(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    headers = []
    if user.get("username") and not user.get("token"):
        plain = f"{user['username']}:{user.get('password') or ''}"
        headers.append(("Authorization", f"Basic {base64.b64encode(plain.encode()).decode()}"))
    if user.get("as"):
        headers.append(("Impersonate-User", str(user["as"])))
    if user.get("as-uid"):
        headers.append(("Impersonate-Uid", str(user["as-uid"])))
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    return tuple(headers)
