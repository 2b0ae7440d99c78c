"""What can be said of the images without building them."""

import fnmatch
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
STEPS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    if line and not line.startswith("#")
]
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def stage(name: str) -> list[list[str]]:
    """Return the steps of a stage."""
    starts = [i for i, (verb, _) in enumerate(STEPS) if verb == "FROM"] + [len(STEPS)]
    (found,) = [STEPS[a:b] for a, b in pairwise(starts) if STEPS[a][1].endswith(f" AS {name}")]
    return found


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text()))


@pytest.mark.parametrize(("image", "user"), [("operator", "65532:65532"), ("agent", "0:0")])
def test_each_image_starts_its_own_program_as_its_own_user(image, user):
    steps = stage(image)
    assert ["USER", user] in steps
    assert ["ENTRYPOINT", f'["damon-{image}"]'] in steps
    assert steps[0] == ["FROM", f"runtime AS {image}"]
    assert ["COPY", f"--from={image}-environment /opt/damon /opt/damon"] in steps


def test_the_base_is_an_argument_and_nothing_is_fetched_past_the_locks():
    bases = {rest.split(" AS ")[0] for verb, rest in STEPS if verb == "FROM"}
    assert bases == {"${PYTHON_IMAGE}", "builder", "runtime"}
    (default,) = [
        value for word, value in (step[:2] for step in STEPS) if value.startswith("PYTHON_IMAGE=")
    ]
    assert re.fullmatch(
        r"PYTHON_IMAGE=docker\.io/library/python:3\.13-slim@sha256:[0-9a-f]{64}", default
    )
    runs = " ".join(rest for verb, rest in STEPS if verb == "RUN")
    assert not re.search(r"\b(curl|wget|apt-get|apk|git)\b", runs)
    assert not any(verb == "ADD" for verb, _ in STEPS)
    for install in re.findall(r"pip [^&]*install[^&]*", runs):
        assert "--require-hashes" in install or "--no-deps /build/dist/*.whl" in install


def test_the_working_directory_is_no_place_to_import_from():
    (environment,) = [rest for verb, rest in stage("runtime") if verb == "ENV"]
    assert "PYTHONSAFEPATH=1" in environment
    assert "PYTHONUNBUFFERED=1" in environment


@pytest.mark.parametrize("image", ["operator", "agent"])
def test_an_image_holds_the_pins_of_the_one_lock_and_all_it_needs(image):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"][image]
    locked, everything = pins(f"requirements-{image}.lock"), pins("requirements.lock")
    assert {re.split("[><=]", n)[0].strip() for n in needed} <= locked.keys(), "run `make lock`"
    assert locked.items() <= everything.items(), "run `make lock`"
    others = project["optional-dependencies"]["mock"]
    assert not {"rich", "mdurl"} & locked.keys(), f"of the mock: {others}"


def test_the_agents_image_holds_nothing_of_the_operators():
    assert not {"kopf"} & pins("requirements-agent.lock").keys()
    copied = [rest for verb, rest in stage("agent-environment") if verb == "COPY"]
    assert not [c for c in copied if "damon_operator" in c or "damon_mock" in c]


def test_what_the_dockerfile_copies_is_sent_and_nothing_else():
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    sent = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for verb, rest in STEPS
        if verb == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == sent
    assert all((ROOT / path).exists() for path in sent)
    assert not fnmatch.filter(sent, "*.env")
