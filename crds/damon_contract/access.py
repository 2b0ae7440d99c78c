"""How a program reaches the API server, and as whom. Knows no HTTP client.

What a pod's service account or a kubeconfig says, read again for every request. Trust is kubectl's:
certificates that Go accepts are accepted, on every version of Python.
"""

import ipaddress
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class AccessError(Exception):
    """There is nothing to reach an API server with, or it can't be read yet."""


@dataclass
class Access:
    """One API server and one user.

    A file that is empty, missing or half written counts as not yet replaced: what was read before
    stays in use.
    """

    server: str
    """URL, without a slash at its end."""
    ca_path: Path | None = None
    """None: the authorities of this system."""
    token: Callable[[], str] = lambda: ""
    """Returns the bearer token, with or without white space around it; "" when there is none."""
    certificate_path: str | None = None
    key_path: str | None = None
    verify: bool = True
    server_name: str | None = None
    """The name the server's certificate is for, if not that of the URL."""
    proxy: str | None = None
    """URL of a proxy."""
    _token: str = field(default="", init=False)
    _ca_pem: bytes = field(default=b"", init=False)
    _context: ssl.SSLContext | None = field(default=None, init=False)

    @classmethod
    def of_pod(cls, directory: Path, environment: Mapping[str, str]) -> Self:
        """Return the access of the service account whose files are in a directory."""
        try:
            host = environment["KUBERNETES_SERVICE_HOST"]
            port = environment["KUBERNETES_SERVICE_PORT"]
        except KeyError as error:
            raise AccessError(f"{error.args[0]} is not set: this is no pod") from error
        token_path, ca_path = directory / "token", directory / "ca.crt"
        for path in (token_path, ca_path):
            if not path.exists():
                raise AccessError(f"{path} does not exist")
        server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        proxy = proxy_for(server, environment)
        return cls(server, ca_path=ca_path, token=token_path.read_text, proxy=proxy)

    @classmethod
    def of_kubeconfig(cls, configuration: Any, environment: Mapping[str, str]) -> Self:
        """Return the access that the `kubernetes` client has read from a kubeconfig."""
        c = configuration

        def token() -> str:
            try:
                return _bare(c.get_api_key_with_prefix("BearerToken") or "")
            except Exception as error:  # a credential plugin of the client's may raise anything
                raise AccessError(f"{type(error).__name__}: {error}") from error

        return cls(
            c.host.rstrip("/"),
            ca_path=Path(c.ssl_ca_cert) if c.ssl_ca_cert else None,
            token=token,
            certificate_path=c.cert_file,
            key_path=c.key_file,
            verify=c.verify_ssl,
            server_name=c.tls_server_name or None,
            proxy=c.proxy or proxy_for(c.host, environment),
        )

    def authorization(self) -> str | None:
        """Return the value of the Authorization header; None: a certificate or nothing has to do.

        Raise AccessError when there is to be a token and none could ever be read.
        """
        try:
            self._token = self.token().strip() or self._token
        except (OSError, ValueError, AccessError) as error:
            if not self._token:
                raise AccessError(f"no token: {error}") from error
        return f"Bearer {self._token}" if self._token else None

    def context(self) -> ssl.SSLContext:
        """Return what to speak TLS with: the same object until the authorities change.

        Raise AccessError when they could never be read.
        """
        try:
            ca_pem = self.ca_path.read_bytes() if self.ca_path is not None else b""
            if self._context is None or (ca_pem.strip() and ca_pem != self._ca_pem):
                self._context = self._made()
                self._ca_pem = ca_pem
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            if self._context is None:
                raise AccessError(f"certificates of the API server: {error}") from error
        return self._context

    def _made(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_path)
        # Python 3.13 began to insist on what RFC 5280 wants of authorities; many clusters have one
        # that was made without it. Any certificate in the file is an anchor, as it is for Go.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.certificate_path:
            context.load_cert_chain(self.certificate_path, self.key_path)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def proxy_for(server: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy that the environment names for a server, by Go's rules; None: none.

    HTTPS_PROXY or HTTP_PROXY by the server's scheme. NO_PROXY is a list of `*`, networks, addresses
    and domains; these stand for their subdomains too, and with a dot in front only for those.
    Addresses and domains may have a port. A proxy is never used for this machine itself.
    """
    target = urlsplit(server)

    def said(name: str) -> str:
        return environment.get(name) or environment.get(name.lower()) or ""

    proxy = said(f"{target.scheme.upper()}_PROXY")
    host = (target.hostname or "").lower()
    port = str(target.port or (443 if target.scheme == "https" else 80))
    excepted = [entry.strip().lower() for entry in said("NO_PROXY").split(",")]
    if not proxy or _is_here(host) or any(_covers(e, host, port) for e in excepted if e):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_here(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _covers(entry: str, host: str, port: str) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        return address is not None and address in network
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdigit():
        if wanted != port:
            return False
        entry = name
    bare = _address(entry.strip("[]"))
    if bare is not None:
        return address == bare
    entry = entry.removeprefix("*")
    return host.endswith(f".{entry.lstrip('.')}") or host == entry


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bare(authorization: str) -> str:
    """Return a token without the scheme that the client puts in front of it."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" else authorization
