"""What a client asks first: versions, groups, resources, and the OpenAPI documents.

OpenAPI v3 goes as far as kubectl needs it: which kinds can be validated by the server
(`fieldValidation`), and the schemas of custom resources for `kubectl explain`.
"""

from typing import Any, Final

from damon_mock.kube import failures
from damon_mock.kube.failures import Body
from damon_mock.kube.resources import Catalogue, Resource

_VERBS: Final = [
    "create",
    "delete",
    "get",
    "list",
    "patch",
    "update",
    "watch",
]
VERSION: Final = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+damon-mock",
    "platform": "linux/amd64",
}


def document(path: str, catalogue: Catalogue) -> Body | str:
    """Return what is at a path that is no resource; 404 when nothing is."""
    first, *rest = path.strip("/").split("/")
    if first == "apis" and rest and rest[0] not in catalogue.groups():
        raise failures.NoSuchPage
    match first:
        case "version":
            return VERSION
        case "healthz" | "readyz" | "livez":
            return "ok"
        case "api":
            return _core(rest, catalogue)
        case "apis":
            return _groups(rest, catalogue)
        case "openapi":
            return _open_api_documents(rest, catalogue)
        case _:
            raise failures.NoSuchPage


def _core(rest: list[str], catalogue: Catalogue) -> Body:
    if rest:
        return _resources("", rest[0], catalogue)
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _groups(rest: list[str], catalogue: Catalogue) -> Body:
    match rest:
        case []:
            groups = [_group(n, v) for n, v in catalogue.groups().items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case [group]:
            return _one_group(group, catalogue)
        case [group, version, *_]:
            return _resources(group, version, catalogue)
        case _:
            raise failures.no_such_path()


def _open_api_documents(rest: list[str], catalogue: Catalogue) -> Body:
    match rest:
        case ["v3"]:
            return {"paths": _open_api_paths(catalogue)}
        case ["v3", "api", version]:
            return _open_api("", version, catalogue)
        case ["v3", "apis", group, version]:
            return _open_api(group, version, catalogue)
        case _:
            raise failures.no_such_path()


def _group(name: str, versions: list[str]) -> Body:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _one_group(group: str, catalogue: Catalogue) -> Body:
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        **_group(group, catalogue.groups()[group]),
    }


def _served(group: str, version: str, catalogue: Catalogue) -> list[Resource]:
    found = [r for r in catalogue if (r.group, r.version) == (group, version)]
    if not found:
        raise failures.no_such_path()
    return found


def _resources(group: str, version: str, catalogue: Catalogue) -> Body:
    listed: list[Body] = []
    served = _served(group, version, catalogue)
    for resource in served:
        entry: Body = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": _VERBS,
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        if resource.status:
            listed.append(
                {
                    "name": f"{resource.plural}/status",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": resource.kind,
                    "verbs": ["get", "patch", "update"],
                }
            )
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": served[0].api_version,
        "resources": listed,
    }


def _prefix(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _open_api_paths(catalogue: Catalogue) -> Body:
    prefixes = {_prefix(r.group, r.version) for r in catalogue}
    return {p: {"serverRelativeURL": f"/openapi/v3/{p}?hash=0"} for p in sorted(prefixes)}


def _open_api(group: str, version: str, catalogue: Catalogue) -> Body:
    served = _served(group, version, catalogue)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": dict(_open_api_path(resource) for resource in served),
        "components": {"schemas": {_schema_name(r): _schema(r) for r in served}},
    }


def _schema_name(resource: Resource) -> str:
    group = ".".join(reversed(resource.group.split("."))) or "io.k8s.api.core"
    return f"{group}.{resource.version}.{resource.kind}"


def _kind(resource: Resource) -> Body:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _open_api_path(resource: Resource) -> tuple[str, Body]:
    space = "namespaces/{namespace}/" if resource.namespaced else ""
    path = f"/{_prefix(resource.group, resource.version)}/{space}{resource.plural}/{{name}}"
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]

    def operation(action: str) -> Body:
        return {
            "operationId": f"{action}{resource.kind}",
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _kind(resource),
        }

    return path, {"get": operation("get"), "put": operation("put"), "patch": operation("patch")}


def _schema(resource: Resource) -> Body:
    schema: dict[str, Any] = {"type": "object"}
    if resource.custom:
        schema = {
            **resource.shape,
            "properties": {**resource.shape["properties"], "metadata": {"type": "object"}},
        }
    return {**schema, "x-kubernetes-group-version-kind": [_kind(resource)]}
