"""Reclaim by the file memory.reclaim of pods' cgroups: what DAMON does not reach."""
