"""The client of redis fills it, asks it, and tells how long that took."""

import shutil
import subprocess
import sys
import time

import pytest
from efficacy.latency import Window
from efficacy.stage import make_programs
from efficacy.workloads import redis

pytestmark = pytest.mark.skipif(
    not (shutil.which("gcc") or shutil.which("cc")), reason="no C compiler"
)

SERVER = """\
import socketserver, sys

class Redis(socketserver.StreamRequestHandler):
    def handle(self):
        values = {}
        while count := self.rfile.readline()[1:]:
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(count))]
            if words[0] == b"SET":
                values[words[1]] = words[2]
                self.wfile.write(b"+OK\\r\\n")
            else:
                self.wfile.write(b"$%d\\r\\n%b\\r\\n" % (len(values[words[1]]), values[words[1]]))

socketserver.UnixStreamServer(sys.argv[sys.argv.index("--unixsocket") + 1], Redis).serve_forever()
"""  # noqa: E501 - one word for each part of a request


def test_all_keys_are_stored_and_asked_for(tmp_path):
    stand_in, pod = tmp_path / "redis", tmp_path / "pod"
    stand_in.mkdir()
    pod.mkdir()
    (stand_in / "redis").write_text(f"#!{sys.executable}\n{SERVER}")
    (stand_in / "redis").chmod(0o755)
    make_programs(tmp_path / "programs", redis=stand_in)
    workload = redis(1)
    client = subprocess.Popen(
        [tmp_path / "programs" / workload.program, pod, *workload.words], stderr=subprocess.PIPE
    )
    try:
        latency = pod / "latency"
        deadline_s = time.monotonic() + 60
        while not (latency.exists() and latency.read_text().count("\n") > 1):
            assert client.poll() is None, client.stderr.read()
            assert time.monotonic() < deadline_s, "nothing is told of any operation"
            time.sleep(0.01)
    finally:
        client.kill()
        client.communicate()
    window = Window.model_validate_json(latency.read_text().splitlines()[1])
    assert (pod / "ready").exists()
    assert sum(window.buckets.values()) > 0
