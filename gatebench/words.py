"""Words for numbers that every part of the project says alike."""


def counted(count: float, noun: str) -> str:
    """Return a whole number and a regular noun, e.g. `1 case`, `0 cases`, `2 stability requests`."""
    return f"{int(count)} {noun}{'' if count == 1 else 's'}"
