"""`kubectl damon doctor`: what a node has that tuning needs, and what stands in its way."""
