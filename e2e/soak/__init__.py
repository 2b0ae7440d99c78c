"""The soak: everything real but kernels and API server, under faults at random, for an hour."""
