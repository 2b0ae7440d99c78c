"""`kubectl damon top --watch`, as a process whose output is a pipe: a table whenever it changes."""

import signal

import cluster_objects as made
import pytest


@pytest.fixture(name="watching")
def watching_fixture(shop):
    with shop.start("top", "--watch") as running:
        yield running
        running.kill()


def until(stream, what):
    """Read lines until one has this in it; return it."""
    line = next((line for line in stream if what in line), None)
    assert line is not None, f"it ended without {what!r}"
    return line


def report(shop, cold_bytes):
    status = made.damon_node("n1", ("web", 60), figures={"web": {"coldBytes": cold_bytes}})[
        "status"
    ]
    for each in status["pods"]:
        each["uid"] = shop.uid("pods", each["name"])
    shop.set_status("dn", "n1", status)


def test_what_an_agent_reports_is_shown(shop, watching):
    until(watching.stdout, "64 MiB")
    report(shop, 32 << 20)
    until(watching.stdout, "32 MiB")
    watching.send_signal(signal.SIGINT)
    assert watching.wait(timeout=30) == 130


def test_it_outlasts_an_api_server_that_is_away_and_says_that_it_waits(shop, watching):
    until(watching.stdout, "64 MiB")
    shop.api.run(shop.api.server.down())
    assert "no answer from" in until(watching.stdout, "waiting:")
    shop.api.run(shop.api.server.up())
    report(shop, 32 << 20)
    until(watching.stdout, "32 MiB")


def test_it_ends_when_it_may_not_look_any_more(shop, watching):
    until(watching.stdout, "64 MiB")
    shop.api.call(shop.api.server.faults.fail_next, 9, 403)
    shop.api.run(shop.api.server.down())
    shop.api.run(shop.api.server.up())
    assert watching.wait(timeout=60) == 3
    assert "error: ordered by the mock" in watching.stderr.read()
