"""`kubectl damon status`: is everything as it was asked, and if not, what is to be done."""
