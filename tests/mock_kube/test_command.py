import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

CRDS = Path(__file__).parents[2] / "crds"


@pytest.mark.embedded
def test_the_api_runs_as_a_process_of_its_own(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "damon_mock", "api", "--install", str(CRDS)]
    with subprocess.Popen(
        [*command, "--kubeconfig-out", str(kubeconfig)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            url = process.stdout.readline().strip()
            assert json.loads(kubeconfig.read_text())["clusters"][0]["cluster"]["server"] == url
            with urllib.request.urlopen(f"{url}/apis/damon-operator.io/v1alpha1") as answer:
                plurals = {r["name"] for r in json.load(answer)["resources"]}
            assert {"damontunings", "damonnodes/status"} <= plurals
        finally:
            os.kill(process.pid, signal.SIGTERM)
        assert process.wait(10) == 0
    assert not kubeconfig.exists()
