"""What the commits of this repository differ in."""

EXTRA = 0.0  # share of work beyond the base's
