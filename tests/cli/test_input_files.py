"""Files that a person gives: whatever is in them, it is never called a defect of the program."""

import io
import json
import os
import sys
from contextlib import suppress

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from damon_cli import __main__ as entry
from damon_cli.documents import DocumentError, documents
from damon_cli.errors import KubeconfigError, UsageError
from damon_cli.kubeconfig import connection
from damon_cli.plan import command, manifest

HEAD = "apiVersion: damon-operator.io/v1alpha1\nkind: DamonTuning\nmetadata: {name: %s}\nspec: %s\n"
RULE = "{priorities: {rules: [{name: %s, priority: 5}]}}"
FINE = {
    "current-context": "a",
    "clusters": [{"name": "a", "cluster": {"server": "http://localhost:1"}}],
    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "u"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
}
ODD = st.sampled_from(
    """\
5
true
null
~
.inf
1e999
2024-01-01
2024-99-99
9999-12-31T23:59:59-14:00
=
0x1
text
[]
{}
[1]
{a: 1}
''
!!binary aGVsbG8=
!!binary ?
!!timestamp x
!!int x
!!int ''
!!bool x
!!set {a}
!!omap [a: 1]
!x y
&a [*a]
&a {b: *a}
*b
https://[::1
http://h:x
"\\0"
"\\ud800"
"\\x85"
{? [1]: 2}
{1: 2}
{~: 2}
{1.5: 2}
<<
""".splitlines()
)
LONG = st.sampled_from(["a" * 300, "9" * 5000, "0x" + "f" * 5000, "[" * 70 + "]" * 70, "[" * 9999])
VALUES = ODD | LONG | st.text(max_size=20)
ANY_FILE = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@ANY_FILE
@given(text=st.binary(max_size=60) | VALUES.map(lambda text: text.encode(errors="replace")))
def test_documents_are_what_json_can_say(text):
    try:
        found = documents(text)
    except DocumentError:
        return
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (b"a: 2024-01-01", {"a": "2024-01-01"}),
        (b"a: =", {"a": "="}),
        (b"1: {true: x}", {"1": {"true": "x"}}),
        ("\ufeffa: é".encode(), {"a": "é"}),
        (b"&a {b: &c [1], d: *c}", {"b": [1], "d": [1]}),
    ],
)
def test_a_document_is_read_as_kubectl_reads_it(text, read):
    assert documents(text) == [read]


def test_aliases_of_aliases_do_not_fill_the_memory():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(DocumentError, match="more than 1000000 values"):
        documents("\n".join(lines).encode())


@ANY_FILE
@given(name=VALUES, spec=VALUES, rule=st.booleans(), head=st.sampled_from([HEAD, "%s %s"]))
def test_no_tuning_is_a_defect(tmp_path, name, spec, rule, head):
    file = tmp_path / "tuning.yaml"
    text = head % (name, RULE % spec if rule else spec)
    file.write_bytes(text.encode(errors="replace"))
    try:
        found = manifest.tunings(str(file))
    except UsageError:
        return
    command._changed([], found)


def holes(document, path=()):
    """Yield the path of every value in a document."""
    yield path
    pairs = enumerate(document) if isinstance(document, list) else ()
    for key, value in document.items() if isinstance(document, dict) else pairs:
        yield from holes(value, (*path, key))


PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "true", "args": ["a"]}
FULL = {
    **FINE,
    "clusters": [
        {
            "name": "a",
            "cluster": {
                "server": "https://localhost:1",
                "certificate-authority-data": "YQ==",
                "tls-server-name": "a",
                "proxy-url": "http://p:1",
                "insecure-skip-tls-verify": False,
                "extensions": [{"name": "x", "extension": {}}],
            },
        }
    ],
}
USERS = [
    {"username": "a", "password": "b", "as": "c", "as-groups": ["d"], "client-key-data": "YQ=="},
    {"tokenFile": "token", "client-certificate": "file"},
    {"exec": {**PLUGIN, "env": [{"name": "A", "value": "b"}], "provideClusterInfo": True}},
]


@ANY_FILE
@given(data=st.data(), value=VALUES, user=st.sampled_from(USERS))
def test_no_kubeconfig_is_a_defect(tmp_path, data, value, user):
    (tmp_path / "p").mkdir(exist_ok=True)
    document = json.loads(json.dumps({**FULL, "users": [{"name": "u", "user": user}]}))
    *path, last = data.draw(st.sampled_from([each for each in holes(document) if each]))
    inside = document
    for key in path:
        inside = inside[key]
    inside[last] = "HOLE"
    text = yaml.safe_dump(document).replace("HOLE", value)
    (tmp_path / "config").write_bytes(text.encode(errors="replace"))
    environment = {"KUBECONFIG": str(tmp_path / "config"), "PATH": os.environ["PATH"]}
    with suppress(KubeconfigError):
        connection("", "", "", environment=environment, private=tmp_path / "p")


@pytest.fixture(name="ended")
def ended_fixture(tmp_path, monkeypatch, capsys):
    """Return a function that asks with a kubeconfig, and returns exit status and error."""

    def ended(kubeconfig, *arguments):
        file = tmp_path / "config"
        text = kubeconfig if isinstance(kubeconfig, str) else yaml.safe_dump(kubeconfig)
        file.write_text(text)
        monkeypatch.setenv("KUBECONFIG", str(file))
        code = entry.main([*(arguments or ["status"])])
        return code, capsys.readouterr().err

    return ended


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("https://[::1", "Invalid IPv6 URL"),
        ("http://localhost:x", "Port could not be cast"),
        ("ftp://x", "no usable server"),
    ],
)
def test_a_server_that_is_none_is_named(ended, server, said):
    given_one = {**FINE, "clusters": [{"name": "a", "cluster": {"server": server}}]}
    code, err = ended(given_one)
    assert code == 2
    assert server in err
    assert said in err


def test_what_is_of_another_kind_is_named_with_its_file(ended, tmp_path):
    code, err = ended("clusters: 5\n")
    assert (code, err) == (2, f"error: {tmp_path}/config: clusters is no list, but of type int\n")


def test_verification_is_not_switched_off_by_the_text_false(ended):
    cluster = {"server": "https://localhost:1", "insecure-skip-tls-verify": "false"}
    code, err = ended({**FINE, "clusters": [{"name": "a", "cluster": cluster}]})
    assert code == 2
    assert "insecure-skip-tls-verify is no true or false" in err


@pytest.mark.parametrize("token", ["secret\nline", "secret\u0416"])
def test_a_token_that_cannot_be_sent_is_the_kubeconfigs_fault_and_not_shown(ended, token):
    code, err = ended({**FINE, "users": [{"name": "u", "user": {"token": token}}]})
    assert code == 2
    assert "secret" not in err


@pytest.mark.parametrize(
    "expires", ["2030-01-01T00:00:00", "0001-01-01T00:00:00Z", "soon", 5, "9999-12-31T23:59:59Z"]
)
def test_no_expiry_of_a_credential_is_a_defect(ended, tmp_path, expires):
    answer = tmp_path / "answer"
    answer.write_text(json.dumps({"status": {"token": "t", "expirationTimestamp": expires}}))
    user = {"exec": {**PLUGIN, "command": "cat", "args": [str(answer)]}}
    code, err = ended({**FINE, "users": [{"name": "u", "user": user}]})
    assert code == (3 if "Z" in str(expires) else 2), err


def test_an_empty_kubeconfig_says_nothing(lab, tmp_path):
    (tmp_path / "empty").touch()
    lab.tuned()
    both = f"{tmp_path / 'empty'}{os.pathsep}{lab.kubeconfig}"
    assert lab.ask("status", KUBECONFIG=both).err == ""


@pytest.mark.parametrize("path", ["/" + "a" * 300, "~nobody-at-all/x", "/dev/null/x"])
def test_no_path_is_a_defect(ended, monkeypatch, path):
    for arguments in (
        ("status", f"--kubeconfig={path}"),
        ("plan", "-f", path),
        ("doctor", "-f", path),
        ("sysdump", "-f", path),
    ):
        code, err = ended(FINE, *arguments)
        assert code in {2, 3}, err
    monkeypatch.setenv("KUBECONFIG", path)
    assert entry.main(["status"]) == 2


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "\udcff"])
def test_no_name_leads_to_another_object(shop, name):
    for arguments in (
        ("explain", "pod", name),
        ("doctor", "--node", name),
        ("plan", "--node", name),
    ):
        asked = (
            shop.ask(*arguments, "-n", "shop") if arguments[0] != "plan" else shop.ask(*arguments)
        )
        assert asked.code in {2, 3}, asked.err


def test_what_the_operator_cannot_read_is_refused(shop):
    asked = shop.ask("plan", "-f", "-", given=HEAD % ("a" * 300, "{}"))
    assert asked.code == 1
    assert "is refused (schema)" in asked.out
    asked = shop.ask("plan", "-f", "-", given=HEAD % ("x", RULE % "2024-01-01"))
    assert asked.code == 0, asked.out


def test_standard_input_is_utf_8_whatever_the_terminal_is(monkeypatch):
    text = (HEAD % ("x", "{mode: узел}")).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text), encoding="latin-1"))
    assert manifest.tunings("-")[0]["spec"] == {"mode": "узел"}
