"""The agent: puts the plan of its node into DAMON, and knows the kernel."""
