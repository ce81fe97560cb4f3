"""Write docs/gates.md from the gates themselves: `.venv/bin/python docs/gates.py > docs/gates.md` (make docs)."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gatebench import Shape, Unsupported, gates
from gatebench.gates import Gate

# Distinct primes: a size can be told by what divides it. H is twice one, so that half of it is a size too.
LETTERS = {"B": 11, "T": 29, "I": 17, "H": 2 * 19}
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
    shape = taken(gate)
    yield f"### `{gate.name}`\n"
    yield inspect.cleandoc(type(gate).__doc__ or "").split("\n\n")[0].replace("\n", " ") + "\n"
    yield f"```math\n{gate.equation}\n```\n"
    yield f"- Source: {gate.source}."
    yield f"- Inputs: {shapes(gate.input_shapes(shape))}."
    yield f"- Parameters: {shapes(gate.parameters(shape)) or 'none'}."
    alike = gate.parameters(replace(shape, input_size=shape.hidden_size))
    if extra := [f"`{name}`" for name in gate.parameters(shape) if name not in alike]:
        yield f"- Only where I ≠ H: {', '.join(extra)}."
    if shape != SHAPE:
        yield "- Shapes: I = H."
    if text := blocks(gate, shape):
        yield f"- Blocks, in order: {text}."
    if state := gate.state(shape):
        yield f"- State: {shapes({name: (shape.batch, width) for name, width in state.items()})}."
    for name, option in gate.options.items():
        yield f"- Option `{name}`: {option.doc}; default {option.default}, {option.accepted}."
    yield f"- Compulsory work: {costs(gate)}.\n"


def taken(gate: Gate) -> Shape:
    """Return SHAPE, or, where the gate refuses it, the shape with I = H."""
    try:
        gate.check_shape(SHAPE)
    except Unsupported:
        return replace(SHAPE, input_size=SHAPE.hidden_size)
    return SHAPE


def blocks(gate: Gate, shape: Shape) -> str:
    """Return `i, f, g, o`; where parameters differ in their blocks, each list with the parameters that have it."""
    members: dict[tuple[str, ...], list[str]] = {}
    for name in gate.parameters(shape):
        if letters := gate.blocks(name):
            members.setdefault(letters, []).append(f"`{name}`")
    if len(members) == 1:
        return ", ".join(next(iter(members)))
    return "; ".join(f"{', '.join(letters)} ({', '.join(names)})" for letters, names in members.items())


def shapes(sizes: Mapping[str, tuple[int, ...]]) -> str:
    """Return `x (T, B, I), h0 (B, H)`."""
    return ", ".join(f"`{name}` ({', '.join(letter(size) for size in shape)})" for name, shape in sizes.items())


def letter(size: int) -> str:
    """Name a size by its letter, e.g. 4H, H², H/2."""
    for name, value in LETTERS.items():
        if size == value**2:
            return f"{name}²"
        if size % value == 0:
            return name if size == value else f"{size // value}{name}"
        if 2 * size == value:
            return f"{name}/2"
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
