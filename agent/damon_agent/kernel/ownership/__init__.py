"""Which kdamonds are ours: the record of them, taking them, and giving them back."""
