"""`kubectl damon check`: does cold memory go and hot memory stay, in pods of its own."""
