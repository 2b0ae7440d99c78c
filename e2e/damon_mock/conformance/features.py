"""What a case may need: files by which kernels differ, and what the place it is played in can do.

Kernels are told apart by their files, never by their version.
"""

from typing import Final

FEATURES: Final = {
    "allow": "0/contexts/0/schemes/0/filters/0/allow",
    "core_filters": "0/contexts/0/schemes/0/core_filters",
    "damon_stat": "module/damon_stat/parameters/enabled",
    "effective_bytes": "0/contexts/0/schemes/0/quotas/effective_bytes",
    "filters": "0/contexts/0/schemes/0/filters",
    "max_nr_snapshots": "0/contexts/0/schemes/0/stats/max_nr_snapshots",
    "obsolete_target": "0/contexts/0/targets/0/obsolete_target",
    "pause": "0/contexts/0/pause",
    "probes": "0/contexts/0/monitoring_attrs/probes",
    "refresh_ms": "0/refresh_ms",
    "target_priority": "0/contexts/0/targets/0/target_priority",
    "tried_regions": "0/contexts/0/schemes/0/tried_regions",
}
"""A file or directory by which each is told, in a tree with one of everything."""

CAPABILITIES: Final = {
    "memory": "processes with memory that DAMON sees, and memory to squeeze",
    "modules": "the parameters of DAMON's modules",
    "namespaces": "pid namespaces",
    "pid_reuse": "starting a process under a chosen number",
    "sessions": "a number kept alive by a session only",
    "squeeze": "memory to squeeze",
    "swap": "swap",
}
"""What the place of play may be able to do."""
