"""The door for implementations and gates, built-in or plugin: decorators, `Prepared`, `Unsupported`, `Unavailable`.

A decorator only notes what it is given; `gatebench.registry` collects the notes of the file it imports.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gatebench.errors import PluginError, unknown
from gatebench.options import Option

if TYPE_CHECKING:
    from torch import Tensor

    from gatebench.cases import Case
    from gatebench.gates.base import Gate

CONTRACT = 1
LAYOUTS = ("native", "batch_first")


class Unsupported(Exception):
    """Raised by an implementation that never does this gate, option, shape, dtype or mode; the text says why.

    A gate raises it too, for a shape that it is not defined for (`Gate.check_shape`): no implementation does that.
    """


class Unavailable(Exception):
    """Raised where an implementation would run, but not here: no GPU, a package missing; the text says why."""


class Failure(Exception):
    """A case that came to nothing: status (wrong, unsupported, failed, ...), reason, and where in the code."""

    def __init__(self, status: str, reason: str, where: str = "") -> None:
        self.status, self.reason, self.where = status, reason, where
        super().__init__(f"{status}: {reason}")


def same_names(gradients: "Mapping[str, Tensor]") -> "Mapping[str, Tensor]":
    """Return gradients as they are: the leaves carry the gate's own names and layouts."""
    return gradients


@dataclass(frozen=True)
class Prepared:
    """What an implementation built once for a case.

    forward(leaves, inputs) -> {"output": ..., final states}   called with other input buffers each time
    leaves      the tensors that autograd differentiates
    canonical   maps gradients of the leaves to the gate's parameter names and layouts; untimed
    kernel      says after the calls what really ran, or None where it is not known
    detail      says after the calls what else is worth storing (JSON values)
    threads     counts the CPU threads of the library that computes, where it does not use torch's
    """

    forward: "Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], Mapping[str, Tensor]]"
    leaves: "Mapping[str, Tensor]"
    canonical: "Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]" = same_names
    kernel: Callable[[], str | None] | None = None
    detail: Callable[[], dict[str, Any]] | None = None
    threads: Callable[[], int] | None = None


Prepare = Callable[["Gate", "Case", "Mapping[str, Tensor]"], Prepared]


@dataclass(frozen=True)
class Implementation:
    """One way to compute gates. gates = ("*",) serves every gate."""

    name: str
    gates: tuple[str, ...]
    prepare: Prepare
    devices: tuple[str, ...] = ("cpu", "cuda")
    dtypes: tuple[str, ...] = ("float32", "bfloat16", "float64")
    modes: tuple[str, ...] = ("forward", "backward", "forward_backward")
    layout: str = "native"
    error_limit: float | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    available: Callable[[str], None] | None = None  # raises Unavailable(reason) for a device
    compiles: bool = False  # the first call compiles, so it is made before anything is timed
    operators: tuple[
        str, ...
    ] = ()  # torch operators that may do the work, most telling first; a profile says which did
    torch_memory: bool = True  # allocates by torch alone; where not, peak_bytes is not known
    attest: str | None = None  # text that the names of its CUDA kernels must contain, else the case fails
    contract: int = CONTRACT
    origin: str = "built-in"  # file:line
    module: str = ""

    def serves(self, gate: str) -> bool:
        """Say whether this implementation claims the gate."""
        return "*" in self.gates or gate in self.gates

    def refusal(self, device: str, dtype: str, mode: str) -> str | None:
        """Return why it does not take this device, dtype or mode; None where it does."""
        for what, value, accepted in (
            ("device", device, self.devices),
            ("dtype", dtype, self.dtypes),
            ("mode", mode, self.modes),
        ):
            if value not in accepted:
                return f"{self.name} does not take {what} {value} (it takes {', '.join(accepted)})"
        return None


@dataclass(frozen=True)
class Note:
    """What a decorator saw: an Implementation or a Gate subclass, and the module it stands in."""

    module: str
    value: Any


noted: list[Note] = []  # all notes of this process, in order


def implementation(
    name: str, *, gates: "list[str] | tuple[str, ...]", **settings: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register forward(params, inputs) -> {"output": ..., final states} as implementation `name` of `gates`.

    Settings, all with defaults that `Implementation` has:

    devices, dtypes, modes   what it takes
    layout         "native" or "batch_first": the order of time and batch in what it is given and returns
    error_limit    above 0, up to 100: replaces the dtype's limit of the error ratio
    options        name -> gatebench.options.Option, as case.implementation_options has them
    available      available(device) raises Unavailable("why") where it cannot run
    compiles       True where the first call compiles: it is made before anything is timed
    operators      names of torch operators that may do the work, most telling first; a profile says which did
    torch_memory   False where it allocates beside torch's allocator: its peak_bytes are not known
    attest         text that the names of its CUDA kernels must contain, else the case fails
    contract       the version of this contract that it was written for

    The function has the reference's own signature; one that serves options other than the default takes the
    gate as a third argument named `gate`. Raises PluginError for an unknown setting or a wrong signature.
    """

    def register(forward: Callable[..., Any]) -> Callable[..., Any]:
        takes_gate = _forward_takes_gate(name, forward)

        def prepare(gate: "Gate", case: "Case", params: "Mapping[str, Tensor]") -> Prepared:
            if takes_gate:
                return Prepared(lambda leaves, inputs: forward(leaves, inputs, gate=gate), params)
            if case.gate_options:
                changed = ", ".join(f"{key}={value}" for key, value in case.gate_options)
                raise Unsupported(f"{name} takes no argument `gate`, so it cannot know {changed}")
            return Prepared(forward, params)

        noted.append(Note(forward.__module__, _build(name, gates, prepare, forward, settings)))
        return forward

    return register


def prepared_implementation(
    name: str, *, gates: "list[str] | tuple[str, ...]", **settings: Any
) -> Callable[[Prepare], Prepare]:
    """Register prepare(gate, case, params) -> Prepared, for implementations that pack weights or build once."""

    def register(prepare: Prepare) -> Prepare:
        noted.append(Note(prepare.__module__, _build(name, gates, prepare, prepare, settings)))
        return prepare

    return register


def gate(name: str, *, family: str, **attributes: Any) -> Callable[[type], type]:
    """Register a subclass of gates.Gate as gate `name`; attributes: equation, source, options, stackable, ..."""

    def register(cls: type) -> type:
        for key, value in {"name": name, "family": family, **attributes}.items():
            setattr(cls, key, value)
        noted.append(Note(cls.__module__, cls))
        return cls

    return register


def _forward_takes_gate(name: str, forward: Callable[..., Any]) -> bool:
    parameters = list(inspect.signature(forward).parameters.values())
    plain = [parameter for parameter in parameters if parameter.name != "gate"]
    if len(plain) != 2:
        raise PluginError(
            _origin(forward),
            f"{name} takes ({', '.join(parameter.name for parameter in parameters)})",
            "accepted: forward(params, inputs), or forward(params, inputs, gate)",
            "give it the reference's signature",
        )
    return len(plain) != len(parameters)


def _build(
    name: str, gates: Any, prepare: Prepare, function: Callable[..., Any], settings: dict[str, Any]
) -> Implementation:
    accepted = set(Implementation.__dataclass_fields__) - {"name", "gates", "prepare", "origin", "module"}
    where = _origin(function)
    for key in settings:
        if key not in accepted:
            raise unknown(where, f"setting of {name}", key, accepted, PluginError)
    gates = (gates,) if isinstance(gates, str) else tuple(gates)
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    built = Implementation(
        name=name, gates=gates, prepare=prepare, origin=where, module=function.__module__, **settings
    )
    if built.contract != CONTRACT:
        raise PluginError(
            where, f"{name} was built for contract {built.contract}", f"accepted: {CONTRACT}", "update the plugin"
        )
    if built.layout not in LAYOUTS:
        raise unknown(where, "layout", built.layout, LAYOUTS, PluginError)
    if built.error_limit is not None and not 0 < built.error_limit <= 100:
        raise PluginError(where, f"error_limit = {built.error_limit} of {name}", "accepted: above 0, up to 100")
    return built


def _origin(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}"
