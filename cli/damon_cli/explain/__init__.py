"""`kubectl damon explain`: why a pod has its priority, and what comes of it."""
