"""A case: exactly one thing that is timed, with a stable, readable name."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gatebench.options import OptionValue
from gatebench.shape import Shape

MODES = ("forward", "backward", "forward_backward")
DTYPES = ("float32", "bfloat16", "float64")
DEVICES = ("cpu", "cuda")
CACHES = ("hot", "cold")
LAUNCHES = ("eager", "graph")
COMMAND_LINE_SUITE = "command-line"  # the name of the suite of what is asked for by options, without a file


@dataclass(frozen=True, kw_only=True)
class Case:
    """One gate, implementation, shape, dtype, device, thread count, mode and seed.

    gate_options and implementation_options hold only what differs from the default, sorted by name.
    threads is the number of CPU threads, never 0.
    """

    gate: str
    implementation: str
    shape: Shape
    dtype: str = "float32"
    device: str = "cpu"
    threads: int = 1
    mode: str = "forward"
    cache: str = "hot"
    launch: str = "eager"
    seed: int = 0
    gate_options: tuple[tuple[str, OptionValue], ...] = field(default=())
    implementation_options: tuple[tuple[str, OptionValue], ...] = field(default=())

    @property
    def case_id(self) -> str:
        """Name the case, e.g. `lstm/numba/T128-B16-I256-H256/float32/cpu-2/forward;beta=2.0`."""
        return self._id((self.gate, self.implementation), self.implementation_options)

    @property
    def problem_id(self) -> str:
        """Name the problem: the case without its implementation. Cases of one problem compete."""
        return self._id((self.gate,), ())

    def _id(self, head: tuple[str, ...], implementation_options: tuple[tuple[str, OptionValue], ...]) -> str:
        device = f"cpu-{self.threads}" if self.device == "cpu" else self.device
        extra: dict[str, Any] = dict(self.gate_options)
        extra |= {f"{self.implementation}.{name}": value for name, value in implementation_options}
        defaults = {"cache": "hot", "launch": "eager", "seed": 0}
        extra |= {name: getattr(self, name) for name, value in defaults.items() if getattr(self, name) != value}
        suffix = "".join(f";{name}={extra[name]}" for name in sorted(extra))
        return "/".join((*head, str(self.shape), self.dtype, device, self.mode)) + suffix

    def to_json(self) -> dict[str, Any]:
        """Return the case as plain JSON values, as the protocol and the journal carry it."""
        return asdict(self) | {
            "gate_options": dict(self.gate_options),
            "implementation_options": dict(self.implementation_options),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Case":
        """Rebuild a case from `to_json`; unknown keys are ignored."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        known["shape"] = Shape(**value["shape"])
        for name in ("gate_options", "implementation_options"):
            known[name] = tuple(sorted(value.get(name, {}).items()))
        return cls(**known)

    def with_implementation(self, name: str) -> "Case":
        """Return the same problem for another implementation, at its default options."""
        return replace(self, implementation=name, implementation_options=())


def options_text(options: tuple[tuple[str, OptionValue], ...]) -> str:
    """Return options as canonical JSON text, as the columns of a run folder hold them."""
    return json.dumps(dict(options), sort_keys=True)
