"""`kubectl damon plan`: what a DamonTuning would change, by the operator's own planner."""
