"""`kubectl damon top`: how much memory of which pods is cold, has been given up, and came back."""
