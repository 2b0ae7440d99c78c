import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from damon_contract.priorities import Rejected
from damon_contract.v1alpha1.totals import NOTHING, Sums
from damon_contract.v1alpha1.tuning import DamonTuningStatus
from damon_operator.errors import BadObject
from damon_operator.facts import (
    UNREADABLE,
    Container,
    Part,
    Pool,
    Written,
    read_namespace,
    read_node,
    read_pod,
    read_tuning,
    read_written,
    spec_digest,
)

DIGITS = "0123456789abcdef" * 4


def raw_pod(annotations=None, statuses=None) -> dict:
    running = {"name": "main", "containerID": f"containerd://{DIGITS}", "state": {"running": {}}}
    return {
        "metadata": {
            "namespace": "default",
            "name": "web",
            "uid": "u1",
            "labels": {"b": "2", "a": "1"},
            "annotations": annotations or {},
        },
        "spec": {"nodeName": "n1", "priority": 1000, "priorityClassName": "web"},
        "status": statuses
        or {"phase": "Running", "qosClass": "Burstable", "containerStatuses": [running]},
    }


def test_a_pod_is_read():
    pod = read_pod(raw_pod({"damon-operator.io/priority": "30"}), Pool())
    assert (pod.node, pod.priority, pod.priority_class, pod.asked) == ("n1", 1000, "web", 30)
    assert pod.labels == (("a", "1"), ("b", "2"))
    assert pod.containers == (Container("main", bytes.fromhex(DIGITS)),)


def test_running_containers_of_all_kinds_count_and_no_others():
    def status(name, state, identity):
        return {"name": name, "containerID": identity, "state": state}

    running, done = {"running": {"startedAt": "now"}}, {"terminated": {"exitCode": 0}}
    statuses = {
        "phase": "Running",
        "initContainerStatuses": [
            status("sidecar", running, "containerd://" + "1" * 64),
            status("setup", done, "containerd://" + "2" * 64),
        ],
        "containerStatuses": [
            status("main", running, "cri-o://" + "3" * 64),
            status("waiting", {"waiting": {}}, ""),
            status("odd", running, "containerd://not-hex"),
            status("long", running, "docker://" + "4" * 65),
        ],
        "ephemeralContainerStatuses": [status("debug", running, "docker://" + "5" * 64)],
    }
    pod = read_pod(raw_pod(statuses=statuses), Pool())
    assert [c.name for c in pod.containers] == ["sidecar", "main", "debug"]
    assert pod.unknown == ("odd", "long")


@pytest.mark.parametrize(
    "identity",
    ["", "containerd://", "rkt://7b7a1f2e", "containerd://" + "A" * 64, "lxd://" + "1" * 32, 7],
)
def test_a_running_container_with_another_kind_of_id_is_unknown(identity):
    running = {"name": "main", "containerID": identity, "state": {"running": {}}}
    pod = read_pod(raw_pod(statuses={"phase": "Running", "containerStatuses": [running]}), Pool())
    assert (pod.containers, pod.unknown) == ((), ("main",))


OURS = {("damon-system", "agent"): Part.AGENT, ("damon-system", "operator"): Part.OTHER}


@pytest.mark.parametrize(
    ("namespace", "account", "part"),
    [
        ("damon-system", "agent", Part.AGENT),
        ("damon-system", "operator", Part.OTHER),
        ("damon-system", "default", Part.NONE),
        ("default", "agent", Part.NONE),
        ("damon-system", None, Part.NONE),
        ("damon-system", ["agent"], Part.NONE),
    ],
)
def test_our_own_pods_are_known_by_namespace_and_service_account(namespace, account, part):
    raw = raw_pod()
    raw["metadata"]["namespace"] = namespace
    raw["metadata"]["labels"] = {"app.kubernetes.io/part-of": "damon-operator"}
    raw["spec"]["serviceAccountName"] = account
    assert read_pod(raw, Pool(), OURS).part is part


@pytest.mark.parametrize("name", ["a\ud800", "a\nb", "a\x1b[31m", "a\u2028"])
def test_a_name_that_no_plan_could_hold_is_a_bad_object(name):
    raw = raw_pod()
    raw["metadata"]["name"] = name
    with pytest.raises(BadObject) as refused:
        read_pod(raw, Pool())
    assert str(refused.value).isprintable()


BAD_ANNOTATIONS = [
    "",
    "abc",
    "0",
    "101",
    "-5",
    "50.5",
    "1e3",
    "\uff15\uff10",
    "9" * 10_000,
    " 50",
    "050",
]


@pytest.mark.parametrize("text", BAD_ANNOTATIONS)
def test_a_bad_priority_annotation_is_kept_as_a_short_reason(text):
    asked = read_pod(raw_pod({"damon-operator.io/priority": text}), Pool()).asked
    assert isinstance(asked, Rejected)
    assert len(asked.reason) < 200


@pytest.mark.parametrize(("text", "exempt"), [("true", True), ("false", False)])
def test_the_exempt_annotation_is_true_or_false(text, exempt):
    assert read_pod(raw_pod({"damon-operator.io/exempt": text}), Pool()).exempt is exempt


def test_another_exempt_annotation_is_rejected():
    pod = read_pod(raw_pod({"damon-operator.io/exempt": "True"}), Pool())
    assert isinstance(pod.exempt, Rejected)


def paths(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict | list):
        for key, child in children:
            yield from (
                paths(child, (*path, key)) if isinstance(child, dict | list) else [(*path, key)]
            )


@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from([p for p in paths(raw_pod()) if p]),
    junk=st.sampled_from([None, 0, -1, "x" * 400, [], [0], {}, {"a": []}, True, 1e400]),
)
def test_junk_anywhere_in_a_pod_is_a_bad_object_or_harmless(path, junk):
    raw = copy.deepcopy(raw_pod())
    inside = raw
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = junk
    with contextlib.suppress(BadObject):
        assert read_pod(raw, Pool()).namespace


def test_equal_labels_of_many_pods_exist_once():
    pool = Pool()
    one, two = read_pod(raw_pod(), pool), read_pod(raw_pod(), pool)
    assert one.labels is two.labels


def test_a_full_pool_forgets_and_goes_on():
    pool = Pool(limit=2)
    assert [pool.share(text) for text in ("a", "b", "c", "a")] == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("status", "reserved"),
    [
        ({"capacity": {"memory": "1Gi"}, "allocatable": {"memory": "1000Mi"}}, 24 * 2**20),
        ({"capacity": {"memory": "1Gi"}, "allocatable": {"memory": "2Gi"}}, 0),
        (
            {
                "capacity": {
                    "memory": "128Gi",
                    "hugepages-2Mi": "32Gi",
                    "hugepages-1Gi": "32Gi",
                    "hugepages-64Ki": "0",
                },
                "allocatable": {"memory": "63Gi", "hugepages-2Mi": "32Gi"},
            },
            2**30,
        ),
        (
            {
                "capacity": {"memory": "4Gi", "hugepages-2Mi": "many"},
                "allocatable": {"memory": "1Gi"},
            },
            0,
        ),
        ({"capacity": {"memory": "much"}, "allocatable": {"memory": "1Gi"}}, 0),
        ({}, 0),
    ],
)
def test_reserved_memory_is_capacity_minus_allocatable_and_huge_pages(status, reserved):
    node = read_node({"metadata": {"name": "n", "uid": "u"}, "status": status})
    assert node.reserved_bytes == reserved


def test_reserved_memory_beyond_any_node_is_as_good_as_none():
    memory = {"capacity": {"memory": "9e30"}, "allocatable": {"memory": "1Gi"}}
    assert read_node({"metadata": {"name": "n", "uid": "u"}, "status": memory}).reserved_bytes == 0


@pytest.mark.parametrize(
    ("labels", "info", "reason"),
    [
        ({}, {}, ""),
        ({"kubernetes.io/os": "linux"}, {"kubeletVersion": "v1.36.4"}, ""),
        ({"type": "worker"}, {"kubeletVersion": "v1.33.1-eks-ba24e9c"}, ""),
        ({}, {"kubeletVersion": "v1.33.1+k3s1"}, ""),
        ({"kubernetes.io/os": "windows"}, {}, "NotLinux"),
        ({}, {"operatingSystem": "windows"}, "NotLinux"),
        ({"type": "virtual-kubelet", "kubernetes.io/os": "linux"}, {}, "VirtualNode"),
        ({}, {"kubeletVersion": "v1.14.3-vk-azure-aci-v1.4.8"}, "VirtualNode"),
        ({"eks.amazonaws.com/compute-type": "fargate"}, {}, "VirtualNode"),
        ({}, {"kubeletVersion": "fargate"}, "VirtualNode"),
    ],
)
def test_nodes_that_can_have_no_agent_are_known(labels, info, reason):
    raw = {"metadata": {"name": "n", "uid": "u", "labels": labels}, "status": {"nodeInfo": info}}
    assert read_node(raw).agentless == reason


def raw_tuning(spec) -> dict:
    return {"metadata": {"name": "t", "uid": "u", "generation": 3}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"mode": 5}, "spec.mode:"),
        ({"protectFrom": "80"}, "spec.protectFrom:"),
        ({"watermarks": {"ceilingPermille": 50.5}}, "spec.watermarks.ceilingPermille:"),
        ({"watermarks": []}, "spec.watermarks:"),
        ({"priorities": {"annotation": {"min": 9, "max": 2}}}, "spec.priorities.annotation: min"),
        ({"priorities": {"rules": [{"qosClasses": ["Best"]}]}}, "spec.priorities.rules.0.qosClas"),
        ({"oldField": 1}, "spec.oldField:"),
        ({"eagerUpTo": 90}, "eagerUpTo must be below protectFrom"),
        ({"monitoring": {"sampleInterval": "5"}}, "spec.monitoring.sampleInterval:"),
        ([1], "spec:"),
    ],
)
def test_a_bad_tuning_says_which_field_is_wrong(spec, words):
    tuning = read_tuning(raw_tuning(spec))
    assert tuning.spec is None
    assert words in tuning.problem


def test_many_faults_are_cut_to_a_readable_message():
    problem = read_tuning(raw_tuning({f"field{i}": i for i in range(30)})).problem
    assert "(and 25 more)" in problem
    assert len(problem) < 2100


@pytest.mark.parametrize("status", [None, "?", {"conditions": "?"}])
def test_a_status_nobody_can_read_is_as_good_as_none(status):
    assert read_tuning({**raw_tuning({}), "status": status}).status == DamonTuningStatus()


def test_the_digest_of_a_damon_node_is_that_of_its_spec_whatever_its_generation():
    raw = {"metadata": {"name": "n", "uid": "u", "generation": 2}, "spec": {"mode": "Off"}}
    before = read_written(raw)
    assert before.digest == spec_digest(raw["spec"])
    restored = read_written({**raw, "spec": {"mode": "Observe"}}, before)
    assert restored.digest != before.digest


def test_a_damon_nodes_conditions_and_owner_are_read():
    raw = {
        "metadata": {
            "name": "n",
            "uid": "u",
            "generation": 1,
            "ownerReferences": [{"kind": "Node", "uid": "nu"}],
        },
        "status": {
            "observedHash": "h",
            "conditions": [{"type": "Ready", "status": "True", "reason": "Applied"}],
        },
    }
    written = read_written(raw, None)
    assert isinstance(written, Written)
    assert (written.owner_uid, written.observed_hash) == ("nu", "h")
    assert written.conditions == (("Ready", "True", "Applied", ""),)


@pytest.mark.parametrize(
    ("kind", "reason", "kept"),
    [
        ("Ready", "DamonBusy", "because"),
        ("Ready", "NoSwap", "because"),
        ("Ready", "Applied", ""),
        ("Ready", "Applying", ""),
        ("Degraded", "DamonBusy", ""),
    ],
)
def test_of_messages_only_what_is_wrong_is_kept(kind, reason, kept):
    condition = {"type": kind, "status": "False", "reason": reason, "message": "because"}
    raw = {"metadata": {"name": "n", "uid": "u"}, "status": {"conditions": [condition]}}
    assert read_written(raw, None).conditions[0].message == kept
    condition["message"] = "\x1b[2J" * 9
    assert read_written(raw, None).conditions[0].message == ""


@pytest.mark.parametrize("totals", [None, 5, {"cold": "much"}, {"cold": 5}, {"pods": -1}, {"x": 1}])
def test_totals_that_are_none_count_as_nothing(totals):
    raw = {"metadata": {"name": "n", "uid": "u"}, "status": {"totals": totals}}
    assert read_written(raw, None).figures == NOTHING


def test_of_totals_it_is_kept_what_is_known():
    raw = {
        "metadata": {"name": "n", "uid": "u"},
        "status": {"totals": {"pods": 3, "running": 2, "cold": "2Mi", "givenUp": "0"}},
    }
    assert read_written(raw, None).figures == Sums(
        running=2, cold_bytes=2 << 20, cold_known=1, given_up_known=1
    )


def test_the_annotation_of_a_namespace_is_read_as_that_of_a_pod():
    metadata = {"name": "shop", "uid": "u", "annotations": {"damon-operator.io/priority": "30"}}
    assert read_namespace({"metadata": metadata}).asked == 30
    metadata["annotations"] = {"damon-operator.io/priority": "3O"}
    assert isinstance(read_namespace({"metadata": metadata}).asked, Rejected)
    assert read_namespace({"metadata": {"name": "shop"}}).asked is None


@pytest.mark.parametrize(
    "reason",
    ["", "two words", "a\nb", "\x1b[2J", "x" * 129, "1st", None, 5, ["a"], "caf\u00e9", "A\n"],
)
def test_a_reason_that_is_no_word_goes_no_further(reason):
    condition = {"type": "Applied", "status": "False", "reason": reason}
    raw = {"metadata": {"name": "n", "uid": "u"}, "status": {"conditions": [condition]}}
    (read,) = read_written(raw, None).conditions
    assert read == ("Applied", "False", UNREADABLE, "")


def test_a_status_with_a_thousand_conditions_is_cut():
    condition = {"type": "Applied", "status": "False", "reason": "Off"}
    raw = {"metadata": {"name": "n", "uid": "u"}, "status": {"conditions": [condition] * 1000}}
    assert len(read_written(raw, None).conditions) == 16
