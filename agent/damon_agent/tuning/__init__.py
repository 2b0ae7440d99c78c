"""What the agent chooses by itself where the tuning says Auto and states nothing."""
