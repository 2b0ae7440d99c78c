"""A certificate authority of one's own, made when it is needed, with the openssl command."""

import ssl
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Authority:
    """A CA, and a serving certificate for localhost and addresses; files in a directory."""

    directory: Path

    @classmethod
    def make(cls, directory: Path, addresses: Collection[str] = ("127.0.0.1",)) -> Self:
        """Make keys and certificates; FileNotFoundError without an openssl command.

        `addresses`: IP addresses under which clients reach the server.
        """
        made = cls(directory)
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
        made._openssl(
            *("req", "-x509", *key, "-days", "2", "-subj", "/CN=mock-ca"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-keyout", "ca.key", "-out", "ca.crt"),
        )
        names = ",".join(["DNS:localhost", *(f"IP:{address}" for address in addresses)])
        made._openssl(
            *("req", "-x509", *key, "-days", "2", "-subj", "/CN=mock-api"),
            *("-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-addext", f"subjectAltName={names}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-addext", "extendedKeyUsage=serverAuth"),
            *("-keyout", "api.key", "-out", "api.crt"),
        )
        return made

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    @property
    def certificate_pem(self) -> bytes:
        """Return the CA's certificate, which clients trust."""
        return (self.directory / "ca.crt").read_bytes()

    def server_context(self) -> ssl.SSLContext:
        """Return what the server speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "api.crt", self.directory / "api.key")
        return context
