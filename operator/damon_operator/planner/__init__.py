"""What the cluster's facts mean for each node. Pure: facts in, plans and statuses out."""
