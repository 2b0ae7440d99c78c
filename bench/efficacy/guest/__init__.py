"""Programs that run inside the machine: standard library only."""
