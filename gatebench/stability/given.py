"""What a caller gives: a gate or a step, torch tensors, and parameters and inputs of the shapes that the gate declares."""

import math
from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import Gate
from gatebench.shape import ONES, Shape
from gatebench.stability.checks import StabilityError

PROBE = Shape(batch=10007, seq_len=10009, input_size=10037, hidden_size=10039)  # primes: each says whose size it is

Sizes = Mapping[str, tuple[int, ...]]


def check_gate(where: str, gate: object, steps: bool = False) -> None:
    """Raise StabilityError unless a gate is given, or, with steps, a function."""
    accepted = "accepted: a gate, or a function step(params, x_t, state) -> state" if steps else "accepted: a gate"
    if isinstance(gate, str):
        raise StabilityError(where, f"gate is {gate!r}, a name", accepted, f"give gates.get({gate!r})")
    if isinstance(gate, type) or not (isinstance(gate, Gate) or (steps and callable(gate))):
        what = f"the class {gate.__name__}" if isinstance(gate, type) else f"a {type(gate).__name__}"
        raise StabilityError(where, f"gate is {what}", accepted, "gates.get(name) gives one")


def check_tensors(where: str, what: str, tensors: object) -> None:
    """Raise StabilityError unless `tensors` is a mapping of names to torch tensors."""
    if not isinstance(tensors, Mapping):
        raise StabilityError(where, f"{what} are a {_kind(tensors)}", "accepted: a mapping of names to torch tensors")
    for name, value in tensors.items():
        check_tensor(where, f"{name}", value)


def check_tensor(where: str, what: str, value: object) -> None:
    """Raise StabilityError unless a value is a torch tensor."""
    if not isinstance(value, Tensor):
        raise StabilityError(where, f"{what} is a {_kind(value)}", "accepted: a torch tensor", "use torch.as_tensor")


def check_shapes(where: str, gate: Gate, params: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> None:
    """Raise StabilityError unless parameters and inputs have the shapes that the gate declares at one Shape.

    T, B and I are read from the inputs, H from the states or, where they do not tell it, tried. Where nothing fits, the
    sizes that most tensors agree on are taken, and the first tensor that does not is named. Names beyond the declared
    are left alone, and so are images, which may have any form.
    """
    sizes = {name: tuple(value.shape) for name, value in params.items()}
    given = {name: tuple(inputs[name].shape) for name in gate.input_shapes(ONES)}
    known = _read_off(gate, given)
    if any(not _misfits(gate, shape, sizes, given) for shape in _shapes(gate, known, sizes, given)):
        return
    free = {name: size for name, size in known.items() if name != "input_size"}
    shapes = [shape for one in (known, free) for shape in _shapes(gate, one, sizes, given, any_width=True)]
    if not shapes:
        return  # a gate that takes no shape like these says so itself
    best = min(shapes, key=lambda shape: _rank(gate, shape, sizes, given))
    kind, name, asked = _misfits(gate, best, sizes, given)[0]
    widths = f"at input_size {best.input_size} and hidden_size {best.hidden_size}, as most of the rest"
    if kind == "lacks":
        raise StabilityError(
            where,
            f"params lack {name!r}",
            f"{gate.name} has {', '.join(gate.parameters(best))}",
            f"add {name!r} {asked}",
        )
    found = (sizes if kind == "param" else given)[name]
    next_step = "gate.draw and gate.inputs give tensors that fit"
    raise StabilityError(where, f"{name} has shape {found}", f"accepted: {asked} {widths}", next_step)


def _read_off(gate: Gate, given: Sizes) -> dict[str, int]:
    """Return the sizes of a Shape that stand as an axis of their own in an input."""
    found: dict[str, int] = {}
    declared = gate.input_shapes(PROBE)
    for field in ("batch", "seq_len", "input_size", "hidden_size"):
        for name, sizes in declared.items():
            prime = getattr(PROBE, field)
            axis = sizes.index(prime) if prime in sizes else len(given[name])
            if axis < len(given[name]) and given[name][axis] > 0:
                found.setdefault(field, given[name][axis])
    return found


def _shapes(
    gate: Gate, known: Mapping[str, int], sizes: Sizes, given: Sizes, any_width: bool = False
) -> Iterator[Shape]:
    """Yield the shapes that the gate takes, of the known sizes; H, where it is not known or any_width, and I are tried."""
    tried = sorted(
        {divisor for shape in (*sizes.values(), *given.values()) for axis in shape for divisor in _divisors(axis)}
    )
    hidden = tried if any_width or "hidden_size" not in known else [known["hidden_size"]]
    for input_size in [known["input_size"]] if "input_size" in known else tried:
        for hidden_size in hidden:
            batch, seq_len = known.get("batch", 1), known.get("seq_len", 1)
            shape = Shape(batch=batch, seq_len=seq_len, input_size=input_size, hidden_size=hidden_size)
            try:
                gate.check_shape(shape)
            except Unsupported:
                continue
            yield shape


def _divisors(number: int) -> Iterable[int]:
    return (one for low in range(1, math.isqrt(number) + 1) if number % low == 0 for one in (low, number // low))


def _rank(gate: Gate, shape: Shape, sizes: Sizes, given: Sizes) -> tuple[int, int]:
    """Return how many tensors do not fit a shape, and how many of them are parameters: sizes of states are easier wrong."""
    misfits = _misfits(gate, shape, sizes, given)
    return len(misfits), sum(kind != "input" for kind, _, _ in misfits)


def _misfits(gate: Gate, shape: Shape, sizes: Sizes, given: Sizes) -> list[tuple[str, str, tuple[int, ...]]]:
    """Return (lacks, param or input; name; the shape it should have) of each tensor that does not fit."""
    params = gate.parameters(shape)
    lacks = [("lacks", name, asked) for name, asked in params.items() if name not in sizes]
    wrong = [("param", name, asked) for name, asked in params.items() if name in sizes and sizes[name] != asked]
    firm = {  # an image may have any form, and a gate's own are squares
        name: asked
        for name, asked in gate.input_shapes(shape).items()
        if gate.state(ONES) or gate.time_axis(name) is not None
    }
    return [*lacks, *wrong, *(("input", name, asked) for name, asked in firm.items() if given.get(name) != asked)]


def _kind(value: object) -> str:
    return f"{type(value).__module__.partition('.')[0]} {type(value).__name__}".removeprefix("builtins ")
