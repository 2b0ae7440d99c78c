"""`kubectl damon report`: what is cold, of whom, against what was requested."""
