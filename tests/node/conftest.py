"""A node's /proc and cgroup tree, and the resolver that reads them."""

from pathlib import Path

import pytest
from node_files import OWN_PID, NodeFiles

from damon_agent.node.hierarchy import Hierarchy
from damon_agent.node.procfs import Procfs
from damon_agent.node.resolver import Resolver


@pytest.fixture
def node(tmp_path: Path) -> NodeFiles:
    return NodeFiles(tmp_path)


@pytest.fixture(params=["cgroup tree", "proc only"])
def resolver(request: pytest.FixtureRequest, node: NodeFiles) -> Resolver:
    """The resolver in both of its ways; they must give the same answers."""
    hierarchy = Hierarchy(node.cgroup) if request.param == "cgroup tree" else None
    return Resolver(Procfs(node.proc), hierarchy, own_pid=OWN_PID)
