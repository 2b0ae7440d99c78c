"""The agent's only door to the Kubernetes API: the plan comes in, the status goes out."""
