"""What all tests share: properties are judged by what they find, not by how long they take."""

from pathlib import Path

import pytest
from cluster_objects import CRDS
from hypothesis import settings

from damon_mock.kube.threads import ApiThread

settings.register_profile("house", deadline=None)
settings.load_profile("house")


def _listening(pid: int) -> set[int]:
    """Return the local ports on which a process accepts TCP connections (proc_net_tcp(5))."""
    process = Path(f"/proc/{pid}")
    sockets = set()
    for entry in (process / "fd").iterdir():
        try:
            sockets.add(str(entry.readlink()))
        except FileNotFoundError:
            continue  # closed meanwhile
    found = set()
    for table in ("tcp", "tcp6"):
        for line in (process / "net" / table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                found.add(int(local.rpartition(":")[2], 16))
    return found


@pytest.fixture(name="listening", scope="session")
def listening_fixture():
    return _listening


@pytest.fixture
def api():
    """An API server with our CRDs in a thread; who tests the operator has one in the same loop."""
    with ApiThread() as thread:
        thread.call(thread.server.cluster.install, CRDS)
        yield thread


@pytest.fixture
def kubeconfig(api, tmp_path):
    return api.call(api.server.write_kubeconfig, tmp_path / "kubeconfig")
