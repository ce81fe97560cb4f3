"""Names -> gates and implementations: the built-ins' table, other distributions' entry points, single files.

The built-ins are a table of text, so that their names are known without importing torch. All sources end in the
same values (`Gate` subclasses, `Implementation`); a name given twice is an error that names both places.
"""

import functools
import hashlib
import importlib
import importlib.util
import itertools
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from gatebench import contract
from gatebench.contract import Implementation, Unavailable
from gatebench.errors import PluginError, unknown

if TYPE_CHECKING:
    from gatebench.gates.base import Gate

BUILTIN_GATES = {
    "rnn_linear": "gatebench.gates.recurrent.rnn:RNNLinear",
    "rnn_tanh": "gatebench.gates.recurrent.rnn:RNNTanh",
    "rnn_relu": "gatebench.gates.recurrent.rnn:RNNReLU",
    "lstm": "gatebench.gates.recurrent.lstm:LSTM",
    "gru": "gatebench.gates.recurrent.gru:GRU",
    "gru_reset_before": "gatebench.gates.recurrent.gru:GRUResetBefore",
    "gru_textbook": "gatebench.gates.recurrent.gru:GRUTextbook",
    "lstm_peephole": "gatebench.gates.recurrent.peephole:LSTMPeephole",
    "lstm_peephole_full": "gatebench.gates.recurrent.peephole:LSTMPeepholeFull",
    "lstm_coupled": "gatebench.gates.recurrent.lstm:LSTMCoupled",
    "lstm_projected": "gatebench.gates.recurrent.lstm:LSTMProjected",
    "lstm_layernorm": "gatebench.gates.recurrent.layernorm:LSTMLayerNorm",
    "lstm_no_input_gate": "gatebench.gates.recurrent.greff:LSTMNoInputGate",
    "lstm_no_forget_gate": "gatebench.gates.recurrent.greff:LSTMNoForgetGate",
    "lstm_no_output_gate": "gatebench.gates.recurrent.greff:LSTMNoOutputGate",
    "lstm_no_input_activation": "gatebench.gates.recurrent.greff:LSTMNoInputActivation",
    "lstm_no_output_activation": "gatebench.gates.recurrent.greff:LSTMNoOutputActivation",
    "lstm_gate_recurrence": "gatebench.gates.recurrent.greff:LSTMGateRecurrence",
    "slstm": "gatebench.gates.recurrent.slstm:SLSTM",
    "minimal_rnn": "gatebench.gates.recurrent.minimal_rnn:MinimalRNN",
    "mingru": "gatebench.gates.scan.minimal:MinGRU",
    "minlstm": "gatebench.gates.scan.minimal:MinLSTM",
    "qrnn": "gatebench.gates.scan.qrnn:QRNN",
    "sru": "gatebench.gates.scan.sru:SRU",
    "rg_lru": "gatebench.gates.scan.rg_lru:RGLRU",
    "mlstm": "gatebench.gates.scan.mlstm:MLSTM",
    "selective_scan": "gatebench.gates.scan.selective_scan:SelectiveScan",
    "glu": "gatebench.gates.glu.pointwise:GLU",
    "bilinear": "gatebench.gates.glu.pointwise:Bilinear",
    "reglu": "gatebench.gates.glu.pointwise:ReGLU",
    "geglu": "gatebench.gates.glu.pointwise:GEGLU",
    "geglu_tanh": "gatebench.gates.glu.pointwise:GEGLUTanh",
    "swiglu": "gatebench.gates.glu.pointwise:SwiGLU",
    "gtu": "gatebench.gates.glu.pointwise:GTU",
    "glu_ffn": "gatebench.gates.glu.feed_forward:GLUFFN",
    "bilinear_ffn": "gatebench.gates.glu.feed_forward:BilinearFFN",
    "reglu_ffn": "gatebench.gates.glu.feed_forward:ReGLUFFN",
    "geglu_ffn": "gatebench.gates.glu.feed_forward:GEGLUFFN",
    "geglu_tanh_ffn": "gatebench.gates.glu.feed_forward:GEGLUTanhFFN",
    "swiglu_ffn": "gatebench.gates.glu.feed_forward:SwiGLUFFN",
    "gtu_ffn": "gatebench.gates.glu.feed_forward:GTUFFN",
    "highway": "gatebench.gates.highway:Highway",
    "highway_uncoupled": "gatebench.gates.highway:HighwayUncoupled",
    "gated_conv": "gatebench.gates.convolution:GatedConv",
    "gated_tanh_conv": "gatebench.gates.convolution:GatedTanhConv",
    "channel_gate": "gatebench.gates.channel:ChannelGate",
    "squeeze_excite": "gatebench.gates.channel:SqueezeExcite",
    "attention_gate": "gatebench.gates.attention:AttentionGate",
    "gated_attention": "gatebench.gates.attention:GatedAttention",
    "gated_attention_unit": "gatebench.gates.attention:GatedAttentionUnit",
}
BUILTIN_IMPLEMENTATIONS = {
    "eager": "gatebench.implementations.eager",
    "compile": "gatebench.implementations.compile",
    "native": "gatebench.implementations.native",
    "cudnn": "gatebench.implementations.cudnn",
    "numba": "gatebench.implementations.numba",
    "onnxruntime": "gatebench.implementations.onnxruntime",
    "triton": "gatebench.implementations.triton",
}
GATES_GROUP = "gatebench.gates"
IMPLEMENTATIONS_GROUP = "gatebench.implementations"


class Registry:
    """Gates and implementations by name; built-ins and entry points are imported when first asked for."""

    def __init__(self) -> None:
        self._gates: dict[str, type[Gate]] = {}
        self._implementations: dict[str, list[Implementation]] = {}
        self._entry_points: dict[str, dict[str, list[EntryPoint]]] = {GATES_GROUP: {}, IMPLEMENTATIONS_GROUP: {}}
        for group, by_name in self._entry_points.items():
            for point in entry_points(group=group):
                by_name.setdefault(point.name, []).append(point)

    def gate_names(self) -> list[str]:
        """Return all names of gates, built-ins first."""
        return list(dict.fromkeys([*BUILTIN_GATES, *self._entry_points[GATES_GROUP], *self._gates]))

    def implementation_names(self) -> list[str]:
        """Return all names of implementations, built-ins first."""
        return list(
            dict.fromkeys(
                [*BUILTIN_IMPLEMENTATIONS, *self._entry_points[IMPLEMENTATIONS_GROUP], *self._implementations]
            )
        )

    def gate(self, name: str) -> "type[Gate]":
        """Return the class of a gate; raises UserError for an unknown name."""
        if name in BUILTIN_GATES:
            module, attribute = BUILTIN_GATES[name].split(":")
            return getattr(importlib.import_module(module), attribute)
        if name not in self._gates and name in self._entry_points[GATES_GROUP]:
            self._load(GATES_GROUP, name)
        if name not in self._gates:
            raise unknown("gate", "gate", name, self.gate_names())
        return self._gates[name]

    def implementations(self, name: str) -> list[Implementation]:
        """Return the entries of an implementation; raises UserError for an unknown name."""
        if name not in self._implementations:
            if name in BUILTIN_IMPLEMENTATIONS:
                module = BUILTIN_IMPLEMENTATIONS[name]
                self._add_noted(*_collect(module, lambda: importlib.import_module(module)))
            elif name in self._entry_points[IMPLEMENTATIONS_GROUP]:
                self._load(IMPLEMENTATIONS_GROUP, name)
        if name not in self._implementations:
            raise unknown("implementation", "implementation", name, self.implementation_names())
        return self._implementations[name]

    def _load(self, group: str, name: str) -> None:
        """Import the package that gives a name; raises PluginError where its module registers other names only."""
        point = self._entry_point(group, name)
        implementations, gates = _collect(point.module, point.load)
        # The module's other names may have been asked for before.
        known = {id(value) for value in (*itertools.chain(*self._implementations.values()), *self._gates.values())}
        self._add_noted(
            [entry for entry in implementations if id(entry) not in known],
            [cls for cls in gates if id(cls) not in known],
        )
        given = [value.name for value in (gates if group == GATES_GROUP else implementations)]
        if name not in given:
            raise PluginError(
                f"package {_giver(point)}", f"names {name}, and its module {point.module} registers "
                f"{', '.join(dict.fromkeys(given)) or 'nothing of the kind'}",
                "accepted: the names that decorators register", "mend the entry point",
            )  # fmt: skip

    def _entry_point(self, group: str, name: str) -> EntryPoint:
        """Return the entry point of a name; raises PluginError where two packages give it."""
        point, *others = self._entry_points[group][name]
        if others:
            givers = " and ".join(_giver(giver) for giver in (point, *others))
            raise PluginError(f"{group} {name}", f"given by {givers}", "one package", "uninstall one of them")
        return point

    def packages(self) -> dict[str, dict[str, str | None]]:
        """Return name -> {"package", "version"} of each gate and implementation that an installed package gives."""
        return {
            name: _package(points[0]) for by_name in self._entry_points.values() for name, points in by_name.items()
        }

    def implementation(self, name: str, gate: str) -> Implementation | None:
        """Return the entry of `name` that serves `gate`, or None where it never does."""
        return next((entry for entry in self.implementations(name) if entry.serves(gate)), None)

    def add_file(self, path: Path) -> None:
        """Import a plugin file and add its implementations and gates.

        Its implementations may do gates that a later file gives; `run.discover` knows all files, and checks the names.
        Raises PluginError for duplicates, and whatever the file itself raises.
        """
        if not path.is_file():
            raise PluginError(f"plugin {path}", "no such file", "accepted: a Python file", "check the path")
        if path.suffix != ".py":
            raise PluginError(f"plugin {path.name}", "is no Python file", "accepted: a file *.py", "check the path")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        module_name = f"gatebench_plugin_{path.stem}_{digest}"

        def load() -> None:
            spec = importlib.util.spec_from_file_location(module_name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[module_name] = module
            sys.path.insert(0, str(path.parent))  # a plugin may import its neighbours
            try:
                spec.loader.exec_module(module)
            finally:
                sys.path.remove(str(path.parent))

        implementations, gates = _collect(module_name, load)
        for group, values in ((IMPLEMENTATIONS_GROUP, implementations), (GATES_GROUP, gates)):
            for value in values:
                for point in self._entry_points[group].get(value.name, ())[:1]:
                    raise PluginError(
                        f"plugin {path.name}", f"{value.name!r} is given by package {_giver(point)} too", "",
                        "rename one of them",
                    )  # fmt: skip
        if not implementations and not gates:
            raise PluginError(
                f"plugin {path.name}",
                "registers nothing",
                "accepted: @gatebench.implementation, @gatebench.prepared_implementation or @gatebench.gate",
                "decorate a function",
            )
        self._add_noted(implementations, gates)

    def _add_noted(self, implementations: list[Implementation], gates: "list[type[Gate]]") -> None:
        for entry in implementations:
            self.add_implementation(entry)
        for cls in gates:
            known = BUILTIN_GATES.get(cls.name) or (cls.name in self._gates and self._gates[cls.name].__module__)
            if known:
                raise PluginError(
                    f"gate {cls.name}", f"given by {known} and {cls.__module__}", "", "rename one of them"
                )
            self._gates[cls.name] = cls

    def add_implementation(self, entry: Implementation) -> None:
        """Add one entry; raises PluginError where its name shadows a built-in or serves a gate twice."""
        if entry.name in BUILTIN_IMPLEMENTATIONS and not entry.module.startswith("gatebench.implementations."):
            raise PluginError(
                entry.origin, f"{entry.name!r} shadows a built-in", "accepted: names like 'mylab:fused'", "rename it"
            )
        entries = self._implementations.setdefault(entry.name, [])
        for other in entries:
            if "*" in (*other.gates, *entry.gates) or set(other.gates) & set(entry.gates):
                shared = ", ".join(sorted(set(other.gates) & set(entry.gates))) or "*"
                raise PluginError(
                    entry.origin, f"{entry.name!r} serves {shared} already in {other.origin}", "", "rename one of them"
                )
        entries.append(entry)


def _collect(module: str, load: Callable[[], object]) -> "tuple[list[Implementation], list[type[Gate]]]":
    """Run `load` and return (implementations, gates) noted meanwhile, or before if `module` was imported already."""
    before = len(contract.noted)
    load()
    notes = [
        note
        for index, note in enumerate(contract.noted)
        if index >= before or note.module == module or note.module.startswith(f"{module}.")
    ]
    return (
        [note.value for note in notes if isinstance(note.value, Implementation)],
        [note.value for note in notes if not isinstance(note.value, Implementation)],
    )


def check_available(entry: Implementation, device: str) -> None:
    """Raise Unavailable(reason) where an implementation cannot run on a device of this machine."""
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise Unavailable("no CUDA device")
    if entry.available is not None:
        entry.available(device)


def _package(point: EntryPoint) -> dict[str, str | None]:
    """Return package and version of the distribution that an entry point belongs to."""
    return {"package": point.dist and point.dist.name, "version": point.dist and point.dist.version}


def _giver(point: EntryPoint) -> str:
    return _package(point)["package"] or point.module


@functools.cache
def default_registry() -> Registry:
    """Return this process's registry."""
    return Registry()
