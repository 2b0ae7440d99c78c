"""Which API server to ask, and as whom: kubeconfig files by kubectl's rules.

Own code, and not the `kubernetes` client's: that takes a third of a second to import, and compiled
dependencies with it (docs/adr/0021-kubectl-damon.md).
"""

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from damon_cli.credentials import ExecPlugin
from damon_cli.errors import KubeconfigError
from damon_contract.access import SERVICE_ACCOUNT, Access, AccessError, proxy_for

_Named = dict[str, tuple[dict[str, Any], Path]]
"""Entries of one kind by name, each with the directory that its relative paths start from."""

_IN_POD: Final = "the pod's service account"
_KINDS: Final[Mapping[type, str]] = {
    str: "text",
    bool: "true or false",
    list: "list",
    dict: "mapping",
}
_CLUSTER: Final = ("server", "tls-server-name", "proxy-url")
_CLUSTER_FILES: Final = ("certificate-authority", "certificate-authority-data")
_USER: Final = ("token", "tokenFile", "username", "password", "as", "as-uid")
_USER_FILES: Final = ("client-certificate", "client-key")
_FIELDS: Final[Mapping[str, Mapping[str, type]]] = {
    "cluster": {
        **dict.fromkeys((*_CLUSTER, *_CLUSTER_FILES), str),
        # As text "false" would be true, and nothing be verified.
        "insecure-skip-tls-verify": bool,
        "extensions": list,
    },
    "context": dict.fromkeys(("cluster", "user", "namespace"), str),
    "user": {
        **dict.fromkeys((*_USER, *_USER_FILES, *(f"{each}-data" for each in _USER_FILES)), str),
        "as-groups": list,
        "exec": dict,
    },
}
_PLUGIN: Final[Mapping[str, type]] = {
    **dict.fromkeys(("apiVersion", "command", "installHint", "interactiveMode"), str),
    "args": list,
    "env": list,
}


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
        if not os.path.isfile(path):  # noqa: PTH113 - False of every path that cannot be one
            raise KubeconfigError(f"{path}: there is no such kubeconfig")
        return (Path(path),)
    named = [part for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    # Not Path.expanduser: that raises where there is no home.
    return tuple(Path(os.path.expanduser(part)) for part in named or ["~/.kube/config"])  # noqa: PTH111


def _merged(files: Sequence[Path]) -> _Merged:
    merged = _Merged()
    for file in files:
        if not os.path.exists(file):  # noqa: PTH110 - as above
            continue
        document = _read(file)
        home = file.resolve().parent
        _check(document, {"current-context": str}, str(file))
        merged.current = merged.current or str(document.get("current-context") or "")
        for kind, inner, known in (
            ("clusters", "cluster", merged.clusters),
            ("contexts", "context", merged.contexts),
            ("users", "user", merged.users),
        ):
            _check(document, {kind: list}, str(file))
            for entry in document.get(kind) or ():
                if isinstance(entry, dict) and isinstance(entry.get(inner), dict):
                    name = str(entry.get("name"))
                    _check(entry[inner], _FIELDS[inner], f"{file}: {inner} {name}")
                    known.setdefault(name, (entry[inner], home))
    return merged


def _read(file: Path) -> dict[str, Any]:
    """Return a kubeconfig; an empty file says nothing, as for kubectl."""
    from damon_cli.documents import DocumentError, documents

    try:
        found = documents(file.read_bytes())
    except OSError as error:
        raise KubeconfigError(f"{file}: {error.strerror}") from error
    except DocumentError as error:
        raise KubeconfigError(f"{file}: {error}") from error
    document = found[0] if found else None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise KubeconfigError(f"{file}: no kubeconfig")
    return document


def _check(entry: Mapping[str, Any], fields: Mapping[str, type], where: str) -> None:
    """Raise KubeconfigError for a field that is of another kind; what it holds may be secret."""
    for name, kind in fields.items():
        value = entry.get(name)
        if value is None or isinstance(value, kind):
            continue
        if kind is str and isinstance(value, int | float):  # a number without quotes
            continue
        raise KubeconfigError(
            f"{where}: {name} is no {_KINDS[kind]}, but of type {type(value).__name__}"
        )


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
    except (AccessError, OSError, ValueError) as error:
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
    _check_url(server, "server", ("http", "https"))
    proxy = str(cluster.get("proxy-url") or "")
    if proxy:
        _check_url(proxy, "proxy-url", ("http", "https", "socks5"))
    if user.get("auth-provider"):
        raise KubeconfigError(
            "the kubeconfig's user has an auth-provider, which kubectl dropped in 1.26",
            "let your provider write a kubeconfig with `exec` credentials",
        )
    authority = _file(cluster, "certificate-authority", cluster_home, private)
    certificate = _file(user, "client-certificate", user_home, private)
    key = _file(user, "client-key", user_home, private)
    token: Callable[[], str] = lambda: ""  # noqa: E731 - one of three
    server_name = cluster.get("tls-server-name")
    if user.get("tokenFile"):
        token = (user_home / str(user["tokenFile"])).read_text
    elif user.get("token"):
        token = lambda: str(user["token"])  # noqa: E731
    elif isinstance(user.get("exec"), dict):
        _check(user["exec"], _PLUGIN, "the kubeconfig's credential plugin")
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
        server_name=str(server_name) if server_name else None,
        proxy=proxy or proxy_for(server, environment),
    )


def _check_url(url: str, name: str, schemes: Sequence[str]) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        why = ""
    except ValueError as error:
        usable, why = False, f": {error}"
    if not usable:
        raise KubeconfigError(f"the kubeconfig's cluster has no usable {name}: {url!r}{why}")


def _file(entry: Mapping[str, Any], name: str, home: Path, private: Path) -> Path | None:
    """Return the file an entry names, or one with what it holds as base64, which wins."""
    if data := entry.get(f"{name}-data"):
        try:
            return _written(private / name, base64.b64decode(str(data), validate=True))
        except ValueError as error:  # binascii.Error is one, and so is what is no ASCII
            raise KubeconfigError(f"{name}-data of the kubeconfig is no base64: {error}") from error
    if named := entry.get(name):
        file = home / str(named)
        if not os.path.isfile(file):  # noqa: PTH113 - as above
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
