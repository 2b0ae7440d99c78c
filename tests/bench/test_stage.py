"""How a pod becomes a process in a cgroup."""

import subprocess

from efficacy.stage import pod_script


def test_a_pod_is_a_process_in_a_cgroup_below_its_pods(tmp_path):
    cgroup = tmp_path / "pod1" / "c"
    process = subprocess.Popen(
        [
            "sh",
            "-ec",
            pod_script(str(cgroup), ["cat", "/proc/self/oom_score_adj"], oom_score_adj=1000),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = process.communicate()
    assert process.returncode == 0
    assert said == "1000\n"
    assert (tmp_path / "pod1/cgroup.subtree_control").read_text() == "+memory\n"
    assert (cgroup / "cgroup.procs").read_text() == f"{process.pid}\n"


def test_a_pod_whose_cgroup_cannot_be_made_does_not_start_elsewhere(tmp_path):
    script = pod_script(str(tmp_path / "no" / "pod1" / "c"), ["echo", "started"], oom_score_adj=0)
    ran = subprocess.run(["sh", "-ec", script], check=False, capture_output=True, text=True)
    assert ran.returncode != 0
    assert not ran.stdout
