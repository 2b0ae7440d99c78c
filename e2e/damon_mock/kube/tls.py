"""A certificate authority of one's own, made when it is needed, with the openssl command.

It has the flaws of authorities that are in use, and that kubectl trusts: no key usage, basic
constraints that are not critical, and no key identifiers, in what it has signed either. A client
that Python's strict verification (the default from 3.13 on) keeps from such a cluster shows it in
every test that speaks TLS.
"""

import ssl
import subprocess
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_PLAIN: Final = ("subjectKeyIdentifier=none", "authorityKeyIdentifier=none")
_FLAWED: Final = ("basicConstraints=CA:TRUE", *_PLAIN)
_SOUND: Final = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")


@dataclass(frozen=True)
class Authority:
    """A CA, and a serving certificate for localhost and addresses; files in a directory."""

    directory: Path

    @classmethod
    def make(
        cls,
        directory: Path,
        addresses: Collection[str] = ("127.0.0.1",),
        *,
        sound: bool = False,
    ) -> Self:
        """Make keys and certificates; FileNotFoundError without an openssl command.

        `addresses`: IP addresses under which clients reach the server. `sound`: without the flaws,
        for clients that are not ours.
        """
        made = cls(directory)
        # Not the system's configuration, which adds what is to be missing.
        (directory / "openssl.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n")
        made._certificate("ca", "mock-ca", _SOUND if sound else _FLAWED)
        names = ",".join(["DNS:localhost", *(f"IP:{address}" for address in addresses)])
        serving = (
            f"subjectAltName={names}",
            "basicConstraints=critical,CA:FALSE",
            "extendedKeyUsage=serverAuth",
            *(() if sound else _PLAIN),
        )
        made._certificate("api", "mock-api", serving, "-CA", "ca.crt", "-CAkey", "ca.key")
        return made

    def _certificate(self, name: str, subject: str, extensions: Iterable[str], *by: str) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
        added = [part for extension in extensions for part in ("-addext", extension)]
        self._openssl(
            *("req", "-config", "openssl.cnf", "-x509", *key, "-days", "2"),
            *("-subj", f"/CN={subject}", *by, *added),
            *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
        )

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
