"""The control plane's container: how the cluster is reached from outside, and joined."""

import os
from dataclasses import dataclass
from typing import Final

from harness.api import Api
from harness.command import run

API_PORT: Final = 6443


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """One node of kind, a container of this machine."""

    name: str
    address: str
    pod_range: str

    def run(self, *command: str) -> str:
        """Run a command in it; return what it prints."""
        return run([os.environ["KIND_ENGINE"], "exec", self.name, *command])

    def authority(self) -> str:
        """Return the certificate of the cluster's authority."""
        return self.run("cat", "/etc/kubernetes/pki/ca.crt")

    def bootstrap_kubeconfig(self) -> str:
        """Return what a kubelet asks for its certificate with: a fresh token, as kubeadm's join."""
        token = self.run("kubeadm", "token", "create", "--ttl", "1h").split()[-1]
        return f"""\
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: https://{self.address}:{API_PORT}
    certificate-authority: /etc/kubernetes/pki/ca.crt
users:
- name: bootstrap
  user: {{token: {token}}}
contexts:
- name: bootstrap
  context: {{cluster: cluster, user: bootstrap}}
current-context: bootstrap
"""

    def route(self, pod_range: str, via: str) -> None:
        """Let its pods, and the API server, reach those of another node."""
        self.run("ip", "route", "replace", pod_range, "via", via)


def find(api: Api) -> ControlPlane:
    """Return the one node that is there before any machine joins."""
    label = "node-role.kubernetes.io/control-plane"
    node = next(n for n in api.get("nodes") if label in n["metadata"]["labels"])
    addresses = {a["type"]: a["address"] for a in node["status"]["addresses"]}
    return ControlPlane(
        name=node["metadata"]["name"],
        address=addresses["InternalIP"],
        pod_range=node["spec"]["podCIDR"],
    )
