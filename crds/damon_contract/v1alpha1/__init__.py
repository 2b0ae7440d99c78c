"""API version v1alpha1: `DamonTuning`, written by people, and `DamonNode`, written by the operator.

Attribute docstrings become the field descriptions that `kubectl explain` prints.
"""
