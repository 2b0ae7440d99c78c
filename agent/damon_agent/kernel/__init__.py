"""What the agent knows about DAMON: pure rules, and the only hands on sysfs."""
