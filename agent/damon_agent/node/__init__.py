"""What runs on this node: from the container ids of a plan to live processes."""
