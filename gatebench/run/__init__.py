"""The runner and its workers: who measures when, in which process, and what happens when one misbehaves."""
