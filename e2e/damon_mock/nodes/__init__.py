"""Simulated nodes: a kubelet and a container runtime that run real processes as containers.

Each node is a directory with `proc/` and `cgroup/` laid out as a node's own, in which exactly the
node's processes appear. Works as an ordinary user and ends every process it started.
"""
