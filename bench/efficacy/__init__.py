"""Who helps under memory pressure, on a real kernel in a virtual machine: docs/benchmark.md."""
