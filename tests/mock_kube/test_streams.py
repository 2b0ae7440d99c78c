"""What an API server gets from kubelets and pods: logs and proxied pages."""

import pytest

PODS = "/api/v1/namespaces/default/pods"


async def test_the_log_of_no_pod_is_not_found(http):
    status, body = await http.call("GET", f"{PODS}/nobody/log")
    assert (status, body["message"]) == (404, 'pods "nobody" not found')


async def test_a_pod_on_no_node_has_nothing_to_say(http, pod):
    await http.create(pod("p"))
    status, body = await http.call("GET", f"{PODS}/p/log")
    assert status in {200, 204}
    assert not body


async def test_a_log_is_one_containers(http, pod):
    made = pod("p")
    made["spec"]["containers"].append({"name": "other", "image": "none"})
    await http.create(made)
    status, body = await http.call("GET", f"{PODS}/p/log")
    assert (status, body["reason"]) == (400, "BadRequest")
    assert (
        "a container name must be specified for pod p, choose one of: [main other]"
        in (body["message"])
    )
    status, body = await http.call("GET", f"{PODS}/p/log", container="third")
    assert (status, body["message"]) == (400, "container third is not valid for pod p")
    assert (await http.call("GET", f"{PODS}/p/log", container="other"))[0] in {200, 204}


@pytest.mark.embedded
async def test_what_a_kubelet_has_is_answered_and_bounded(api, http, pod):
    await http.create(pod("p", "n1"))
    status, body = await http.call("GET", f"{PODS}/p/log")
    assert (status, body["message"]) == (
        400,
        'container "main" in pod "p" is waiting to start: ContainerCreating',
    )
    api.kubelets.logs["default", "p", "main"] = "one\ntwo\nthree\n"
    assert await http.get(f"{PODS}/p/log") == "one\ntwo\nthree\n"
    assert await http.get(f"{PODS}/p/log", tailLines=2) == "two\nthree\n"
    assert await http.get(f"{PODS}/p/log", limitBytes=5) == "one\nt"
    status, body = await http.call("GET", f"{PODS}/p/log", previous="true")
    assert (status, body["message"]) == (
        400,
        'previous terminated container "main" in pod "p" not found',
    )
    api.kubelets.previous["default", "p", "main"] = "zero\n"
    assert await http.get(f"{PODS}/p/log", previous="true") == "zero\n"


@pytest.mark.embedded
async def test_a_page_of_a_pod_is_proxied_or_its_service_cannot_be_reached(api, http, pod):
    assert (await http.call("GET", f"{PODS}/p:metrics/proxy/metrics"))[0] == 404
    await http.create(pod("p", "n1"))
    status, body = await http.call("GET", f"{PODS}/p:metrics/proxy/metrics")
    assert (status, body["reason"]) == (503, "ServiceUnavailable")
    api.kubelets.pages["default", "p:metrics", "metrics"] = "up 1\n"
    assert await http.get(f"{PODS}/p:metrics/proxy/metrics") == "up 1\n"


@pytest.mark.embedded
async def test_nothing_is_written_through_a_log(http, pod):
    await http.create(pod("p", "n1"))
    assert (await http.call("POST", f"{PODS}/p/log", {}))[0] == 405
