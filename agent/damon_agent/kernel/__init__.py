"""Everything the agent knows about DAMON.

On the ground lie the pure words that everything here uses: `intent` (what is wanted), `ladder` and
`availability` (who reclaims when), `schemes`, `slots` (who stands where) and `report`. Above them
are the rooms `tree` (sysfs) and `ownership` (which kdamonds are ours), and above those the two
drivers `lanes` and `native`, which do not know each other.
"""
