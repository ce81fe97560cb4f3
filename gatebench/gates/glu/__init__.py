"""The GLU family: a value multiplied by an activated gate, pointwise or as a feed-forward block."""
