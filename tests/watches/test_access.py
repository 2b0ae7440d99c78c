"""Certificates, tokens, addresses and proxies: what kubectl can talk to, all of ours can."""

import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from damon_agent.plans.errors import UnreachableError
from damon_contract.access import Access, AccessError, proxy_for
from damon_operator.errors import Unavailable

FAILED = (UnreachableError, Unavailable, aiohttp.ClientError, AccessError)
SOUND = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
NO_IDENTIFIERS = ("subjectKeyIdentifier=none", "authorityKeyIdentifier=none")
FLAWS = {
    "sound": SOUND,
    "without key identifiers": (*SOUND, *NO_IDENTIFIERS),
    "without key usage": ("basicConstraints=critical,CA:TRUE",),
    "constraints not critical": ("basicConstraints=CA:TRUE", "keyUsage=keyCertSign"),
    "all of it": ("basicConstraints=CA:TRUE", *NO_IDENTIFIERS),
}


class Authority:
    """A CA, and a server's certificate from it."""

    def __init__(self, directory: Path, extensions=SOUND, signer: "Authority | None" = None):
        directory.mkdir()
        # Not the system's configuration, which adds what is to be missing.
        (directory / "openssl.cnf").write_text("[req]\ndistinguished_name=dn\n[dn]\n")
        self.directory = directory
        by = () if signer is None else signer.signs()
        self._make("ca", *by, subject=directory.name, extensions=extensions)
        leaf = ("basicConstraints=critical,CA:FALSE", "subjectAltName=IP:127.0.0.1,IP:::1")
        plain = NO_IDENTIFIERS if NO_IDENTIFIERS[0] in extensions else ()
        self._make("api", *self.signs(), subject="api", extensions=(*leaf, *plain))

    def signs(self) -> tuple[str, ...]:
        return ("-CA", str(self.path), "-CAkey", str(self.directory / "ca.key"))

    @property
    def path(self) -> Path:
        return self.directory / "ca.crt"

    def _make(self, name: str, *by: str, subject: str, extensions) -> None:
        command = ["openssl", "req", "-config", "openssl.cnf", "-x509", "-newkey", "ec", "-pkeyopt"]
        command += ["ec_paramgen_curve:prime256v1", "-noenc", "-days", "2", *by]
        command += ["-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.crt"]
        command += [part for extension in extensions for part in ("-addext", extension)]
        subprocess.run(command, cwd=self.directory, check=True, capture_output=True)

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "api.crt", self.directory / "api.key")
        return context


@pytest.fixture(name="authority")
def authority_fixture(tmp_path):
    return Authority(tmp_path / "first")


@pytest.fixture(name="pod")
def pod_fixture(tmp_path, authority):
    """A directory as the kubelet mounts it."""
    directory = tmp_path / "serviceaccount"
    directory.mkdir()
    (directory / "token").write_text("one")
    (directory / "ca.crt").write_bytes(authority.path.read_bytes())
    return directory


def of_pod(directory: Path, server, host: str = "127.0.0.1", **environment: str) -> Access:
    where = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(server.server_port)}
    return Access.of_pod(directory, {**where, **environment})


@pytest.mark.parametrize("flaw", FLAWS)
def test_an_authority_that_kubectl_takes_is_taken(tmp_path, serving, ask, flaw):
    authority = Authority(tmp_path / "old", FLAWS[flaw])
    with serving(context=authority.context()) as server:
        assert ask(Access(f"https://127.0.0.1:{server.server_port}", authority.path)) == "10"


@pytest.mark.skipif(sys.version_info < (3, 13), reason="only then Python began to refuse them")
def test_the_flaws_are_such_that_this_python_refuses_them_by_itself(tmp_path):
    authority = Authority(tmp_path / "old", FLAWS["all of it"])
    assert ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT
    assert not Access("https://x", authority.path).context().verify_flags & ssl.VERIFY_X509_STRICT


def test_an_intermediate_authority_alone_is_an_anchor(tmp_path, authority, serving, ask):
    between = Authority(tmp_path / "between", signer=authority)
    with serving(context=between.context()) as server:
        assert ask(Access(f"https://127.0.0.1:{server.server_port}", between.path)) == "10"


def test_a_server_of_another_authority_or_name_is_not_trusted(tmp_path, authority, serving, ask):
    stranger = Authority(tmp_path / "stranger")
    with serving(context=stranger.context()) as server:
        url = f"https://127.0.0.1:{server.server_port}"
        with pytest.raises(FAILED):
            ask(Access(url, authority.path))
        with pytest.raises(FAILED):
            ask(Access(url, stranger.path, server_name="another.example"))
        assert ask(Access(url, authority.path, verify=False)) == "10"


def test_authorities_that_are_replaced_are_followed_and_the_old_ones_forgotten(
    tmp_path, pod, authority, serving, ask
):
    new = Authority(tmp_path / "second")
    with serving(context=authority.context()) as old_server:
        access = of_pod(pod, old_server)
        assert ask(access) == "10"
        ca = pod / "ca.crt"
        ca.write_bytes(authority.path.read_bytes() + new.path.read_bytes())
        assert ask(access) == "20"
        for half_written in (b"", b"\n", new.path.read_bytes()[:-40]):
            ca.write_bytes(half_written)
            assert ask(access)
        ca.unlink()
        assert ask(access)
        ca.write_bytes(new.path.read_bytes())
        with serving(context=new.context()) as server:
            access.server = f"https://127.0.0.1:{server.server_port}"
            assert ask(access) == "10"
        access.server = f"https://127.0.0.1:{old_server.server_port}"
        with pytest.raises(FAILED):
            ask(access)


def test_a_token_that_is_replaced_is_followed(pod, authority, serving, ask):
    token = pod / "token"
    with serving(context=authority.context()) as server:
        access = of_pod(pod, server)
        for content in ("one", "two\n", "", "\n", " three \n"):
            token.write_text(content)
            ask(access)
        token.unlink()
        ask(access)
        said = [f"Bearer {word}" for word in ("one", "two", "two", "two", "three", "three")]
        assert server.authorizations == said


def test_without_any_token_nothing_is_sent_and_it_is_tried_again(pod, authority, serving, ask):
    (pod / "token").write_bytes(b"\xff\xfe")
    with serving(context=authority.context()) as server:
        access = of_pod(pod, server)
        with pytest.raises(FAILED):
            ask(access)
        assert server.authorizations == []
        (pod / "token").write_text("late")
        ask(access)
        assert server.authorizations == ["Bearer late"]


def test_ipv6_is_spoken(pod, authority, serving, ask):
    with serving(context=authority.context(), host="::1") as server:
        access = of_pod(pod, server, "::1")
        assert access.server == f"https://[::1]:{server.server_port}"
        assert ask(access) == "10"


def test_a_proxy_is_asked_for_what_it_is_for(pod, authority, serving, ask):
    with serving() as proxy, serving(context=authority.context()) as server:
        url = f"http://127.0.0.1:{proxy.server_port}"
        elsewhere = of_pod(pod, server, "192.0.2.7", HTTPS_PROXY=url, NO_PROXY="10.0.0.0/8")
        assert elsewhere.proxy == url
        with pytest.raises(FAILED):
            ask(elsewhere)
        assert proxy.journal[0] == f"CONNECT 192.0.2.7:{server.server_port}"
        assert ask(of_pod(pod, server, HTTPS_PROXY=url)) == "10"
        assert ask(of_pod(pod, server, https_proxy=url, no_proxy="127.0.0.0/8")) == "20"


def test_outside_of_a_pod_it_says_what_is_missing(tmp_path):
    with pytest.raises(AccessError, match="KUBERNETES_SERVICE_HOST"):
        Access.of_pod(tmp_path, {})
    where = {"KUBERNETES_SERVICE_HOST": "x", "KUBERNETES_SERVICE_PORT": "1"}
    with pytest.raises(AccessError, match="token does not exist"):
        Access.of_pod(tmp_path, where)


@pytest.mark.parametrize(
    ("server", "excepted", "used"),
    [
        ("https://10.96.0.1", "", True),
        ("https://10.96.0.1", "*", False),
        ("https://10.96.0.1", "10.96.0.0/12", False),
        ("https://10.96.0.1", " 192.168.0.0/16 , 10.0.0.0/8", False),
        ("https://10.96.0.1", "10.96.0.2", True),
        ("https://10.96.0.1:6443", "10.96.0.1:6443", False),
        ("https://10.96.0.1:6443", "10.96.0.1:443", True),
        ("https://10.96.0.1", "10.96.0.1:443", False),
        ("https://[fd00::1]", "fd00::/8", False),
        ("https://[fd00::1]", "[fd00::1]:443", False),
        ("https://[fd00::1]", "fd00:0::1", False),
        ("https://[fd00::1]", "10.0.0.0/8", True),
        ("https://api.example.com", "example.com", False),
        ("https://api.example.com", ".example.com", False),
        ("https://example.com", ".example.com", True),
        ("https://example.com", "EXAMPLE.com:443", False),
        ("https://badexample.com", "example.com", True),
        ("https://api.example.com", "*.example.com", False),
        ("https://api.example.com", "10.0.0.0/8", True),
        ("https://127.0.0.1", "", False),
        ("https://[::1]", "", False),
        ("https://localhost:6443", "", False),
        ("http://10.96.0.1", "", False),
    ],
)
def test_no_proxy_is_read_as_go_reads_it(server, excepted, used):
    environment = {"HTTPS_PROXY": "proxy.example:3128", "NO_PROXY": excepted}
    assert proxy_for(server, environment) == ("http://proxy.example:3128" if used else None)


def test_a_kubeconfig_gives_the_same(authority):
    class Configuration:
        host = "https://127.0.0.1:6443/"
        ssl_ca_cert = str(authority.path)
        cert_file = key_file = tls_server_name = None
        verify_ssl = True
        proxy = "http://named.example"
        answers: tuple = ("Bearer t", "bearer u", None)

        def get_api_key_with_prefix(self, _name):
            answer, *rest = self.answers
            self.answers = tuple(rest)
            return answer

    access = Access.of_kubeconfig(Configuration(), {"NO_PROXY": "*"})
    assert (access.server, access.proxy) == ("https://127.0.0.1:6443", "http://named.example")
    assert [access.authorization() for _ in range(4)] == ["Bearer t", *["Bearer u"] * 3]
