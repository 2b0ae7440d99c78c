"""A value that is taken away by null is refused by its name, where it has no empty form."""

import re
from pathlib import Path

import pytest
import yaml

from damon_agent import settings as agent_settings
from damon_operator import settings as operator_settings

ROOT = Path(__file__).parents[2]
VALUES = yaml.safe_load((ROOT / "helm/damon-operator/values.yaml").read_text())


def paths(values, path=""):
    """Yield the path and the default of every value, and of the maps that hold them."""
    for key, value in values.items():
        at = f"{path}.{key}" if path else key
        yield at, value
        if isinstance(value, dict):
            yield from paths(value, at)


# Keys with a slash are names of labels.
DEFAULTS = {path: value for path, value in paths(VALUES) if "/" not in path}


@pytest.mark.parametrize("path", DEFAULTS)
def test_a_value_that_is_null_is_refused_by_name_or_as_good_as_empty(
    newest, everything, template, parsed, path
):
    ran = template(newest, *everything, f"{path}=null")
    if ran.returncode != 0:
        assert "schema" in ran.stderr
        assert f"missing property '{path.rsplit('.')[-1]}'" in ran.stderr
        return
    assert isinstance(DEFAULTS[path], str | list | dict), "no number or switch is empty"
    assert not re.search(r"<nil>|<no value>|%!", ran.stdout)
    objects = parsed(ran.stdout)
    assert [at for at, leaf in objects.leaves() if leaf is None] == []
    for _, pod in objects.pods():
        for argument in pod["spec"]["containers"][0].get("args", ()):
            assert not re.search(r"(^|[=:/,])$", argument), argument
    operator = objects.get("Deployment", "damon-operator")["spec"]["template"]["spec"]
    operator_settings.parse(operator["containers"][0]["args"], {})
    agent_settings.parse(objects.agent["spec"]["containers"][0]["args"], {"NODE_NAME": "n"})
