"""What the commits of this repository differ in."""

EXTRA: dict[str, float] = {}  # callable -> share of work beyond the base's
