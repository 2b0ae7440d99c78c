"""What the uninstall hook makes of objects that are not as they should be."""

from damon_operator import errors, uninstall
from damon_operator.facts import spec_digest
from damon_operator.listing import LeftOut
from damon_operator.resources import DAMON_NODES, Page

RELEASE = uninstall.Release("damon", "damon-operator", "damon-operator", {"part": "agent"})


class Unreadable:
    """A cluster whose one plan cannot be read, but for its metadata."""

    def __init__(self) -> None:
        self.applied = []

    async def read_deployment(self, _namespace, _name):
        raise errors.NotFound("GET", 404, "NotFound")

    async def page(self, resource, *, take, **_which):
        if resource is DAMON_NODES:
            owners = [{"kind": "Node", "name": "a"}]
            take(LeftOut({"name": "a", "uid": "1", "ownerReferences": owners}, "nested too deeply"))
        return Page("1", "")

    async def apply_node(self, body):
        self.applied.append(body)
        return body


async def test_a_plan_that_cannot_be_read_is_switched_off_as_well():
    async def sleep(_seconds):
        pass

    cluster = Unreadable()
    moments = iter([0.0, 1.0])
    done = await uninstall.uninstall(
        cluster, RELEASE, timeout_s=1, clock=lambda: next(moments), sleep=sleep
    )
    assert done == 1, "its agent has not answered yet"
    (off,) = cluster.applied
    assert (off["metadata"]["name"], off["spec"]["mode"], off["spec"]["pods"]) == ("a", "Off", [])
    assert off["spec"]["hash"] == spec_digest(off["spec"])
    assert [owner["name"] for owner in off["metadata"]["ownerReferences"]] == ["a"]
