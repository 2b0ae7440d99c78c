"""DAMON's sysfs tree: what it should read, the difference to what it reads, and writing that."""
