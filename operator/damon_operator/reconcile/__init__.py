"""From facts to writes: which nodes are touched, what each of them needs, and that it gets it."""

from damon_operator.reconcile.service import Service

__all__ = ["Service"]
