"""The rights of each ServiceAccount: exactly these, and each of them used."""

from itertools import product

import pytest

from damon_operator import resources

OWN = "damon-operator.io"
OPERATOR = {
    ("", "pods"): {"list", "watch"},
    ("", "nodes"): {"list", "watch"},
    ("", "namespaces"): {"list", "watch"},
    (OWN, "damontunings"): {"list", "watch"},
    (OWN, "damontunings/status"): {"patch"},
    (OWN, "damonnodes"): {"list", "watch", "create", "patch", "delete"},
    (OWN, "damonnodes/status"): {"patch"},
    ("events.k8s.io", "events"): {"create"},
}
AGENT = {
    (OWN, "damonnodes"): {"list", "watch"},
    (OWN, "damonnodes/status"): {"patch"},
}
UNINSTALL = {
    (OWN, "damonnodes"): {"list", "create", "patch", "delete"},
    (OWN, "damontunings"): {"list"},
    (OWN, "damontunings/status"): {"patch"},
    ("", "nodes"): {"list"},
}
TEST = {(OWN, "damontunings"): {"list"}, (OWN, "damonnodes"): {"list"}}
IN_ITS_NAMESPACE = {
    "damon-operator": [
        ("coordination.k8s.io", "leases", None, {"create", "list"}),
        ("coordination.k8s.io", "leases", "damon-operator", {"get", "update"}),
    ],
    "damon-operator-agent": [("coordination.k8s.io", "leases", None, {"create", "patch"})],
    "damon-operator-uninstall": [
        ("apps", "deployments", "damon-operator", {"get", "delete"}),
        ("coordination.k8s.io", "leases", "damon-operator", {"delete"}),
        ("", "pods", None, {"list"}),
    ],
}


def granted(role):
    """Return (API group, resource) -> verbs; the rules name no single objects."""
    found = {}
    for rule in role["rules"]:
        assert rule.keys() == {"apiGroups", "resources", "verbs"}
        for group, resource in product(rule["apiGroups"], rule["resources"]):
            assert (group, resource) not in found, "said once"
            found[group, resource] = set(rule["verbs"])
    return found


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        ("damon-operator", OPERATOR),
        ("damon-operator-agent", AGENT),
        ("damon-operator-uninstall", UNINSTALL),
        ("damon-operator-test", TEST),
    ],
)
def test_cluster_wide_everybody_has_exactly_these_rights(render, name, rights):
    assert granted(render().get("ClusterRole", name)) == rights


def test_in_their_namespace_three_have_a_little_more(render):
    found = {
        role["metadata"]["name"]: [
            (*rule["apiGroups"], *rule["resources"], *rule.get("resourceNames", [None]), verbs)
            for rule in role["rules"]
            for verbs in [set(rule["verbs"])]
        ]
        for role in render().of("Role")
    }
    assert found == IN_ITS_NAMESPACE


def test_the_hook_may_delete_tunings_only_if_it_is_told_to(render):
    role = render("uninstall.deleteTunings=true").get("ClusterRole", "damon-operator-uninstall")
    rights = UNINSTALL | {(OWN, "damontunings"): {"list", "delete"}}
    del rights[OWN, "damontunings/status"]
    assert granted(role) == rights


def test_the_operator_may_read_what_it_reads_and_nothing_else():
    read = {value for value in vars(resources).values() if isinstance(value, resources.Resource)}
    groups = {r.path.split("/")[2] if r.path.startswith("/apis/") else "": None for r in read}
    paths = {(r.path.split("/")[2] if r.path.startswith("/apis/") else "", r.name) for r in read}
    assert groups.keys() == {"", OWN}
    assert paths == {key for key, verbs in OPERATOR.items() if {"list", "watch"} <= verbs}


def test_nobody_may_write_pods_or_read_secrets_or_everything(render):
    for role in [*render().of("ClusterRole"), *render().of("Role")]:
        for rule in role["rules"]:
            assert not {"secrets", "configmaps", "*"} & set(rule["resources"])
            assert "*" not in rule["verbs"] + rule["apiGroups"]
            if "pods" in rule["resources"]:
                assert set(rule["verbs"]) <= {"list", "watch"}


def test_every_role_is_bound_to_the_account_of_its_name(render):
    objects = render(namespace="elsewhere")
    for kind in ("ClusterRole", "Role"):
        bound = set()
        for binding in objects.of(f"{kind}Binding"):
            name = binding["roleRef"]["name"]
            assert binding["roleRef"] == {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": kind,
                "name": name,
            }
            assert binding["subjects"] == [
                {"kind": "ServiceAccount", "name": name, "namespace": "elsewhere"}
            ]
            bound.add(name)
        assert bound == {role["metadata"]["name"] for role in objects.of(kind)}


def test_rights_of_hooks_exist_while_the_hook_runs_only(render):
    objects = render()
    for name, event in (
        ("damon-operator-uninstall", "pre-delete"),
        ("damon-operator-test", "test"),
    ):
        ours = [o for o in objects.all if o["metadata"]["name"] == name]
        assert len(ours) >= 4
        for o in ours:
            notes = o["metadata"]["annotations"]
            assert notes["helm.sh/hook"] == event
            deleted = notes["helm.sh/hook-delete-policy"]
            assert deleted == "before-hook-creation,hook-succeeded"
        runs = [o for o in ours if o["kind"] in {"Job", "Pod"}]
        others = [o for o in ours if o not in runs]
        weight = "helm.sh/hook-weight"
        assert max(int(o["metadata"]["annotations"][weight]) for o in others) < min(
            int(o["metadata"]["annotations"].get(weight, "0")) for o in runs
        ), "accounts and rights are there before who needs them"
