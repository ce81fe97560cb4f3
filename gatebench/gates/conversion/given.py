"""What a user hands to `convert`: names matched, dtypes and shapes checked, tensors taken."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatebench.errors import UserError, unknown
from gatebench.gates.base import DTYPE_BYTES

FLOATS = ", ".join(DTYPE_BYTES)


@dataclass(frozen=True)
class Module:
    """The parameters of one module by their own names; `where` begins every error."""

    where: str
    tensors: Mapping[str, Tensor]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def size(self, name: str, axis: int, axes: int) -> int:
        """Return the size of a parameter along an axis; raises UserError where it is empty or has not `axes` axes."""
        shape = tuple(self.tensors[name].shape)
        if len(shape) != axes or 0 in shape:
            raise UserError(self.where, f"{name} has shape {shape}", f"accepted: {axes} axes, none of them empty")
        return shape[axis]

    def checked(self, shapes: Mapping[str, tuple[int, ...]], next_step: str = "") -> dict[str, Tensor]:
        """Return the parameters named in `shapes`, zeros for those that are missing; UserError for another shape."""
        for name, shape in shapes.items():
            if name in self and (found := tuple(self.tensors[name].shape)) != shape:
                raise UserError(self.where, f"{name} has shape {found}", f"accepted: {shape}", next_step)
        like = next(iter(self.tensors.values()))
        return {name: self.tensors[name] if name in self else like.new_zeros(shape) for name, shape in shapes.items()}


@dataclass(frozen=True)
class Given:
    """Foreign parameters and the keywords of `convert`; `where` begins every error."""

    where: str
    params: Mapping[str, object]
    layer: int | None = None
    direction: str | None = None
    forget_bias: float = 1.0
    update_gate: str | None = None
    passes: tuple[str, ...] = ()  # of a stack: the endings of all its layers and directions in torch's names

    def module(
        self, required: Sequence[str], optional: Sequence[str] = (), foreign: Callable[[str], bool] | None = None
    ) -> Module:
        """Return the one module whose names, after a common prefix that ends in . or /, include all of `required`.

        Names without that prefix are other modules'; with it they must be required, optional or `foreign`. Raises
        UserError for names that are missing, unknown or there twice, and for dtypes that differ or are no floats.
        """
        prefix = self._prefix(required, optional)
        names = [name.removeprefix(prefix) for name in self.params if name.startswith(prefix)]
        for name in names:
            if name not in (*required, *optional) and not (foreign and foreign(name)):
                raise unknown(self.where, "parameter", name, [*required, *optional])
        found = {name: self._tensor(prefix + name) for name in (*required, *optional) if name in names}
        kinds = sorted({str(value.dtype).removeprefix("torch.") for value in found.values()})
        if len(kinds) > 1 or kinds[0] not in DTYPE_BYTES:
            raise UserError(
                self.where, f"parameters are {' and '.join(kinds)}", f"accepted: all alike, one of {FLOATS}"
            )
        return Module(self.where, found)

    def _prefix(self, required: Sequence[str], optional: Sequence[str]) -> str:
        """Return what stands before the names of the one module that has all `required`."""
        anchor = required[0]
        ends = [name for name in self.params if name == anchor or name.endswith((f".{anchor}", f"/{anchor}"))]
        starts = [name.removesuffix(anchor) for name in ends]
        complete = [start for start in starts if all(start + name in self.params for name in required)]
        if len(complete) > 1:
            what = f"{anchor} is there {len(complete)} times, after {' and '.join(map(repr, complete))}"
            raise UserError(self.where, what, "accepted: one module", "pass the names of that module alone")
        if not complete:
            start = starts[0] if starts else ""
            missing = ", ".join(name for name in required if start + name not in self.params)
            names = ", ".join([*required, *(f"{name} (optional)" for name in optional)])
            raise UserError(self.where, f"no parameter {missing}", f"accepted: {names}")
        return complete[0]

    def _tensor(self, name: str) -> Tensor:
        value = self.params[name]
        if isinstance(value, Tensor):
            return value.detach()
        try:
            array = np.array(value, order="C")
            if array.dtype.name == "bfloat16":  # of ml_dtypes, which torch does not know
                return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
            return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
        except (TypeError, ValueError):
            kind = type(value).__name__
            raise UserError(self.where, f"{name} is a {kind} of no known dtype", f"accepted: {FLOATS}") from None
