"""Scan gates, whose gates see the input alone: the recurrence is linear in its state, and a parallel scan can run it."""
