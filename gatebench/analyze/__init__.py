"""Analysis: DataFrame in, DataFrame out. Knows no torch, no gates, and of the store only its table of columns."""
