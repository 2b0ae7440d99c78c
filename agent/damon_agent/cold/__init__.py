"""How much memory of each pod is cold."""
