"""Analysis: DataFrame in, DataFrame out. Knows no torch, no store and no gates."""
