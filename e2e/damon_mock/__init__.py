"""Test doubles that behave: DAMON as kernels have it, an API server, nodes, and the demo."""
