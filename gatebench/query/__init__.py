"""Questions to a store of thousands of runs: its index, and SQL over it."""
