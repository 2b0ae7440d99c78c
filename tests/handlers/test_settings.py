import pytest

from damon_operator.settings import parse


def test_the_environment_gives_the_defaults_and_flags_win():
    environment = {"KUBECONFIG": "/k", "POD_NAME": "me", "POD_NAMESPACE": "here"}
    read = parse([], environment)
    assert (read.kubeconfig, read.identity, read.lease_namespace) == ("/k", "me", "here")
    assert (read.leader_elect, read.tempo.debounce_s, read.log_level) == (False, 0.1, "info")
    flags = ["--kubeconfig", "/other", "--leader-elect", "--debounce-ms", "250"]
    read = parse(flags, environment)
    assert (read.kubeconfig, read.leader_elect, read.tempo.debounce_s) == ("/other", True, 0.25)


def test_an_empty_kubeconfig_means_the_cluster_this_runs_in():
    assert parse([], {"KUBECONFIG": ""}).kubeconfig is None


@pytest.mark.parametrize("flags", [["--debounce-ms", "0"], ["--log-level", "loud"], ["--nonsense"]])
def test_flags_that_cannot_be_read_end_the_process(flags, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(flags, {})
    assert ended.value.code == 2
    assert flags[0] in capsys.readouterr().err


def test_every_flag_is_explained(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    text = capsys.readouterr().out
    for flag in ("kubeconfig", "leader-elect", "lease-name", "identity", "debounce-ms", "liveness"):
        assert f"--{flag}" in text
