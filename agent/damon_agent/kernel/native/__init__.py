"""The opt-in driver for a kernel that has `target_priority` (docs/adr/0008)."""
