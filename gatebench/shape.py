"""The shape of a problem: the four sizes that every gate understands."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of one problem, in elements.

    What a family needs beyond these four (channels, kernel, heads) is an option of the gate.
    Raises ValueError for a size that is no integer or below its minimum (batch 0, the others 1).
    """

    batch: int
    seq_len: int
    input_size: int
    hidden_size: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            minimum = 0 if name == "batch" else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                raise ValueError(f"Shape: {name} is {value!r}; an integer of at least {minimum} is accepted")

    def __str__(self) -> str:
        return f"T{self.seq_len}-B{self.batch}-I{self.input_size}-H{self.hidden_size}"


ONES = Shape(batch=1, seq_len=1, input_size=1, hidden_size=1)  # asks a gate for names, which no size changes
