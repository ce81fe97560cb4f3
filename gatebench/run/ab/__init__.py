"""A/B of two versions of the code: two checkouts, one job, workers of both sides alive in each block."""
