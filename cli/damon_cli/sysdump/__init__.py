"""`kubectl damon sysdump`: one zip with what is needed to find out what went wrong."""
