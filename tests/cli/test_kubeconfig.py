"""Kubeconfigs by kubectl's rules, and the credentials they lead to."""

import base64
import json
import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from damon_cli.errors import KubeconfigError
from damon_cli.kubeconfig import connection
from damon_mock.kube.server import ApiServer
from damon_mock.kube.threads import ApiThread
from damon_mock.kube.tls import Authority


def config(current="one", **user):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current,
        "clusters": [
            {"name": "c1", "cluster": {"server": "https://one.invalid:6443/"}},
            {"name": "c2", "cluster": {"server": "https://two.invalid"}},
        ],
        "contexts": [
            {"name": "one", "context": {"cluster": "c1", "user": "u", "namespace": "shop"}},
            {"name": "two", "context": {"cluster": "c2", "user": "u"}},
        ],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
    }


@pytest.fixture(name="connect")
def connect_fixture(tmp_path):
    """Return a function that connects with these kubeconfigs in KUBECONFIG."""
    private = tmp_path / "private"
    private.mkdir()

    def connect(*documents, path="", context="", namespace="", **environment):
        files = []
        for i, document in enumerate(documents):
            file = tmp_path / f"config{i}"
            file.write_text(yaml.safe_dump(document))
            files.append(str(file))
        known = {"HOME": str(tmp_path), "KUBECONFIG": os.pathsep.join(files), **environment}
        return connection(path, context, namespace, environment=known, private=private)

    return connect


def test_the_current_context_decides_unless_another_is_named(connect):
    one, two = connect(config()), connect(config(), context="two")
    assert (one.access.server, one.namespace) == ("https://one.invalid:6443", "shop")
    assert (two.access.server, two.namespace) == ("https://two.invalid", "default")
    assert connect(config(), namespace="x").namespace == "x"


def test_of_several_files_the_first_that_says_something_wins(connect):
    context = [{"name": "three", "context": {"cluster": "c2", "user": "u"}}]
    first = {"current-context": "three", "contexts": context}
    found = connect(first, config())
    assert (found.context, found.access.server) == ("three", "https://two.invalid")


def test_a_file_that_is_missing_from_the_list_costs_nothing(connect, tmp_path):
    file = tmp_path / "there"
    file.write_text(yaml.safe_dump(config()))
    assert connect(KUBECONFIG=f"/nowhere/x{os.pathsep}{file}").context == "one"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"context": "nope"}, "it has: one, two"),
        ({"path": "/nowhere/x"}, "there is no such kubeconfig"),
        (
            {"KUBECONFIG": "/nowhere/x"},
            "no kubeconfig with a current context: looked at /nowhere/x",
        ),
    ],
)
def test_what_cannot_be_used_is_named(connect, arguments, said):
    with pytest.raises(KubeconfigError) as refused:
        connect(config(), **arguments)
    assert said in f"{refused.value.message} {refused.value.remedy}"


def test_paths_start_from_the_directory_of_their_file(connect, tmp_path):
    (tmp_path / "token.txt").write_text("from a file\n")
    assert connect(config(tokenFile="token.txt")).access.authorization() == "Bearer from a file"


def test_keys_in_the_kubeconfig_go_into_files_that_nobody_else_reads(connect):
    data = base64.b64encode(b"a key").decode()
    user = {"client-certificate-data": data, "client-key-data": data}
    access = connect(config(**user)).access
    assert stat.S_IMODE(Path(access.key_path).stat().st_mode) == 0o600
    with pytest.raises(KubeconfigError, match="no base64"):
        connect(config(**{"client-key-data": "?"}))


def test_passwords_and_impersonation_become_headers(connect):
    user = {"username": "a", "password": "b", "as": "jane", "as-groups": ["dev", "ops"]}
    assert connect(config(**user)).headers == (
        ("Authorization", "Basic YTpi"),
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
    )


def plugin(tmp_path, script: str, **more):
    file = tmp_path / "plugin.py"
    file.write_text(f"#!{sys.executable}\nimport json, os, pathlib\n{script}\n")
    file.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": "./plugin.py", **more}}


COUNTED = """
count = pathlib.Path(os.environ["COUNT"])
count.write_text(count.read_text() + "x" if count.exists() else "x")
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
status = {"token": info["spec"].get("cluster", {}).get("server", "t"),
          "expirationTimestamp": os.environ["EXPIRES"]}
print(json.dumps({"apiVersion": info["apiVersion"], "kind": "ExecCredential", "status": status}))
"""


@pytest.mark.parametrize(("hours", "asked"), [(1, 1), (-1, 3)])
def test_a_plugin_is_asked_once_until_its_credential_expires(connect, tmp_path, hours, asked):
    expires = datetime.now(UTC) + timedelta(hours=hours)
    count = tmp_path / "count"
    env = [{"name": "COUNT", "value": str(count)}, {"name": "EXPIRES", "value": str(expires)}]
    user = plugin(tmp_path, COUNTED, env=env, provideClusterInfo=True)
    access = connect(config(**user)).access
    for _ in range(2):
        assert access.authorization() == "Bearer https://one.invalid:6443/"
    assert count.read_text() == "x" * asked


@pytest.mark.parametrize(
    ("user", "said"),
    [
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "absent-plugin",
                      "installHint": "get it from the shop"}},
            "get it from the shop",
        ),
        ({"exec": {"apiVersion": "v0", "command": "x"}}, "speaks v0"),
        ({"auth-provider": {"name": "gcp"}}, "kubectl dropped"),
    ],
)  # fmt: skip
def test_a_plugin_that_cannot_be_used_says_what_to_do(connect, user, said):
    with pytest.raises(KubeconfigError) as refused:
        connect(config(**user))
    assert said in f"{refused.value.message} {refused.value.remedy}"


@pytest.mark.parametrize("script", ["raise SystemExit(3)", "print('no json')"])
def test_a_plugin_that_fails_is_named(connect, tmp_path, script):
    with pytest.raises(KubeconfigError, match=r"plugin\.py"):
        connect(config(**plugin(tmp_path, script)))


def test_tls_and_a_token_reach_the_api_server(lab, tmp_path):
    with ApiThread(ApiServer(authority=Authority.make(tmp_path))) as secured:
        secured.call(secured.server.faults.rotate_token, "secret")
        document = secured.server.kubeconfig()
        file = tmp_path / "secured"
        file.write_text(json.dumps(document))
        asked = lab.ask("status", "--kubeconfig", str(file))
        assert "CRDs are not installed" in asked.err
