"""The brake: pods that reclaim hurts are spared for a while."""
