"""Names that YAML or the API server could take amiss are rendered as what they are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def types(objects):
    return {path: type(leaf) for path, leaf in objects.leaves()}


def named(name: str):
    """Return values that say a name wherever a user may say one."""
    labels = f'{{"team":"{name}"}}'
    return (
        f'nameOverride="{name}"',
        f'operator.priorityClassName="{name}"',
        f'agent.priorityClassName="{name}"',
        f'image.tag="{name}"',
        f'image.pullSecrets=[{{"name":"{name}"}}]',
        *(f"{who}.podAnnotations={labels}" for who in ("operator", "agent")),
        *(f"{who}.nodeSelector={labels}" for who in ("operator", "agent")),
        *(f"{who}.serviceAccount.annotations={labels}" for who in ("operator", "agent")),
        *(
            f"metrics.{what}.labels={labels}"
            for what in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard")
        ),
        f"metrics.dashboard.annotations={labels}",
    )


@pytest.mark.parametrize(
    ("release", "namespace"),
    [("123", "2024"), ("true", "null"), ("2024-01-01", "0x10"), ("1.5", "off")],
)
@pytest.mark.parametrize("more", [(), ("fullnameOverride={!r}",)], ids=["", "fullnameOverride"])
def test_a_name_that_looks_like_something_else_stays_a_string(
    render, everything, release, namespace, more
):
    def rendered(name, where):
        further = [value.format(name).replace("'", '"') for value in more]
        return render(*everything, *named(name), *further, release=name, namespace=where)

    objects = rendered(release, namespace)
    assert types(objects) == types(rendered("plain", "words"))
    for o in objects.all:
        assert isinstance(o["metadata"]["name"], str)
        for key, value in o["metadata"].get("labels", {}).items():
            assert isinstance(value, str), key


def test_a_path_of_a_host_with_a_colon_stays_a_path(render):
    objects = render('agent.hostPaths.damon="/a/b:"', 'agent.hostPaths.damonMount="Wide"')
    assert "--damon-root=/host/mm/b:" in objects.agent["spec"]["containers"][0]["args"]


@pytest.mark.parametrize("release", ["1", "1.5", "my.release", "plain"])
def test_the_service_has_a_name_that_services_may_have(render, everything, release):
    (service,) = render(*everything, release=release).of("Service")
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", service["metadata"]["name"])


@pytest.mark.parametrize("release", [f"{'x' * 38}--y", f"{'x' * 39}.y", f"{'x' * 39}-y"])
def test_a_name_that_is_cut_ends_as_a_name_may(render, release):
    name = render(release=release).of("Deployment")[0]["metadata"]["name"]
    assert re.fullmatch(r"x{38,39}", name)


def test_a_large_number_is_written_as_one(newest, run, parsed, tmp_path):
    (tmp_path / "values.yaml").write_text("agent: {maxUnavailable: 1000000}\n")
    chart = ROOT / "helm/damon-operator"
    ran = run(newest, "template", "r", str(chart), "--values", str(tmp_path / "values.yaml"),
              "--kube-version", "1.36.4")  # fmt: skip
    (agents,) = parsed(ran.stdout).of("DaemonSet")
    assert agents["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 1000000
    assert "1e+06" not in ran.stdout


def test_no_label_is_written_twice(newest, everything, template, parsed):
    ran = template(
        newest,
        *everything,
        *(
            f'metrics.{what}.labels={{"app.kubernetes.io/instance":"mine","team":"mine"}}'
            for what in ("serviceMonitor", "podMonitor", "prometheusRule", "dashboard")
        ),
    )
    objects = parsed(ran.stdout)
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"):
        (found,) = objects.of(kind)
        assert found["metadata"]["labels"]["app.kubernetes.io/instance"] == "damon-operator"
        assert found["metadata"]["labels"]["team"] == "mine"
    assert "app.kubernetes.io/instance: mine" not in ran.stdout
