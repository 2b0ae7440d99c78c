"""`kubectl damon`: what a person asks of damon-operator, answered by one command."""
