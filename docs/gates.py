"""Write docs/gates.md from the gates themselves: `.venv/bin/python docs/gates.py > docs/gates.md` (make docs)."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gatebench import Shape, Unsupported, gates
from gatebench.gates import Gate

# Distinct primes: a size can be told by what divides it.
LETTERS = {"B": 11, "T": 13, "I": 17, "H": 19}
SHAPE = Shape(batch=LETTERS["B"], seq_len=LETTERS["T"], input_size=LETTERS["I"], hidden_size=LETTERS["H"])
HEAD = """# Gates

Written from the code by `make docs`; a test fails where this page is older than the code. B rows, T steps, widths I and H;
`⊙` is the element-wise product, σ the logistic function. Which implementation computes which gate: `gatebench list --coverage`.
"""


def page() -> str:
    """Return the page as Markdown."""
    families: dict[str, list[Gate]] = {}
    for name in gates.names():
        gate = gates.get(name)
        families.setdefault(gate.family, []).append(gate)
    parts = [HEAD]
    for family, members in families.items():
        parts.append(f"## {family}\n")
        parts += ["\n".join(entry(gate)) for gate in members]
    return "\n".join(parts)


def entry(gate: Gate) -> Iterator[str]:
    """Yield the lines of one gate."""
    yield f"### `{gate.name}`\n"
    yield inspect.cleandoc(type(gate).__doc__ or "").split("\n\n")[0].replace("\n", " ") + "\n"
    yield f"```math\n{gate.equation}\n```\n"
    shape = taken(gate)
    yield f"- Source: {gate.source}."
    yield f"- Inputs: {shapes(gate.input_shapes(shape))}."
    yield f"- Parameters: {shapes(gate.parameters(shape)) or 'none'}."
    if letters := next((gate.blocks(name) for name in gate.parameters(shape) if gate.blocks(name)), ()):
        yield f"- Blocks, in order: {', '.join(letters)}."
    if state := gate.state(shape):
        yield f"- State: {shapes({name: (SHAPE.batch, width) for name, width in state.items()})}."
    for name, option in gate.options.items():
        yield f"- Option `{name}`: {option.doc}; default {option.default}, {option.accepted}."
    yield f"- Compulsory work: {costs(gate)}.\n"


def taken(gate: Gate) -> Shape:
    """Return a shape that the gate takes: with I and H apart where it can tell them apart."""
    try:
        gate.check_shape(SHAPE)
    except Unsupported:
        return replace(SHAPE, hidden_size=SHAPE.input_size)
    return SHAPE


def shapes(sizes: Mapping[str, tuple[int, ...]]) -> str:
    """Return `x (T, B, I), h0 (B, H)`."""
    return ", ".join(f"`{name}` ({', '.join(letter(size) for size in shape)})" for name, shape in sizes.items())


def letter(size: int) -> str:
    """Name a size by its letter, e.g. 4H."""
    for name, prime in LETTERS.items():
        if size % prime == 0:
            return name if size == prime else f"{size // prime}{name}"
    return str(size)


def costs(gate: Gate) -> str:
    """Say what forward and backward cost at a shape that a reader can check."""
    shape = Shape(batch=16, seq_len=128, input_size=256, hidden_size=256)
    words = []
    for mode in ("forward", "backward", "forward_backward"):
        cost = gate.cost(shape, mode, "float32")
        assert cost is not None
        words.append(f"{mode} {cost.flops / 1e9:.3g} GFLOP, {cost.bytes_min / 2**20:.3g} MiB")
    return "; ".join(words) + " (B 16, T 128, I = H = 256, float32)"


if __name__ == "__main__":
    print(page(), end="")
