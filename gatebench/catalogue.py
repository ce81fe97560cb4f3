"""What can be measured here, as plain data that a worker described: the runner knows gates and plugins by it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gatebench.cases import Case
from gatebench.errors import PluginError, SuiteError, UserError, unknown
from gatebench.options import Option, OptionValue, bind_options

_NOT_YET = "not written yet"
_GROWING = ("numba", "triton")  # built-ins with a kernel of their own per gate: one that is missing may come
_TYPES = {"bool": bool, "int": int, "float": float, "str": str}
_IMPLEMENTATIONS_IN_SOURCE = re.compile(r"""implementation\(\s*["']([^"']+)["']""")
_GATES_IN_SOURCE = re.compile(r"""gate\(\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class Catalogue:
    """Gates, implementations and environment; `files` maps names to the plugin files that they come from, `packages`
    names to {"package", "version"} where an installed package gives them."""

    gates: Mapping[str, Mapping[str, Any]]
    implementations: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    broken: Mapping[Path, str] = field(default_factory=dict)  # plugin files that cannot be used, and why
    broken_gates: Mapping[str, str] = field(default_factory=dict)  # gates that broken plugins would give, and why not
    packages: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)

    @property
    def cores(self) -> int:
        """Return the number of cores that workers may use."""
        return int(self.environment["cores"])

    @property
    def best_device(self) -> str:
        """Return cuda where there is one, else cpu."""
        return "cuda" if self.environment.get("cuda") else "cpu"

    def family(self, gate: str) -> str:
        """Return the family of a gate."""
        return self.gates[gate]["family"]

    def check_options(self, where: str, gate: str, given: Mapping[str, Any]) -> tuple[tuple[str, OptionValue], ...]:
        """Return the gate's options that differ from their defaults; raises UserError for what it does not take."""
        return _changed(f"{where}: gate {gate}", self.gates[gate]["options"], given)

    def check_implementation_options(
        self, where: str, name: str, given: Mapping[str, Any]
    ) -> tuple[tuple[str, OptionValue], ...]:
        """Return the implementation's options that differ from their defaults."""
        described = self.implementations[name]
        if "options" not in described:  # it cannot be imported here, so its options are not known
            return tuple(sorted(given.items()))
        return _changed(f"{where}: {name}", described["options"], given)

    def unknown(self, where: str, kind: str, name: str) -> UserError:
        """Build the error for a gate or implementation that does not exist, or that a broken plugin would give."""
        reason = self.broken_gates.get(name) if kind == "gate" else None
        if reason is not None:
            return SuiteError(
                where, f"gate {name!r} comes from {reason}", "a plugin that can be used is accepted", "mend it"
            )
        return unknown(where, kind, name, self.gates if kind == "gate" else self.implementations, SuiteError)

    def refusal(self, case: Case) -> tuple[str, str] | None:
        """Return (status, reason) where a case cannot run: unavailable or unsupported; None where it may."""
        described = self.implementations[case.implementation]
        if case.device in described["unavailable"]:
            return "unavailable", described["unavailable"][case.device]
        entries = self._entries(case.implementation, case.gate)
        if not entries and case.implementation in _GROWING:
            return "unavailable", f"{case.implementation} for {case.gate} is {_NOT_YET}"
        if not entries:
            return "unsupported", f"{case.implementation} does not do {case.gate}"
        if case.threads > self.cores:
            return "unsupported", f"{case.threads} threads, and this machine gives {self.cores} cores"
        checks = (("device", case.device), ("dtype", case.dtype), ("mode", case.mode))
        for what, value in checks:
            if value not in entries[0][f"{what}s"]:
                accepted = ", ".join(entries[0][f"{what}s"])
                return "unsupported", f"{case.implementation} does not take {what} {value} (it takes {accepted})"
        return None

    def coverage(self, implementation: str, gate: str) -> str:
        """Return `yes` where an implementation computes a gate on this machine, else why not."""
        described, entries = self.implementations[implementation], self._entries(implementation, gate)
        if not described["entries"]:
            return next(iter(described["unavailable"].values()), "gives nothing")
        if not entries:
            return _NOT_YET if implementation in _GROWING else "never"
        claimed = dict.fromkeys(device for entry in entries for device in entry["devices"])
        missing = {device: described["unavailable"].get(device) for device in claimed}
        return "yes" if None in missing.values() else next(str(reason) for reason in missing.values())

    def _entries(self, implementation: str, gate: str) -> list[Mapping[str, Any]]:
        entries = self.implementations[implementation]["entries"]
        return [entry for entry in entries if gate in entry["gates"] or "*" in entry["gates"]]

    def with_plugin(self, path: Path, described: Mapping[str, Any]) -> "Catalogue":
        """Return the catalogue with what a plugin file adds; raises PluginError for names that another file gives."""
        added = dict(described["implementations"])
        for name, entry in described["implementations"].items():
            if name in self.implementations and not self._is_broken(name):
                if _overlap(entry, self.implementations[name]):
                    raise self._given_twice(path, name)
                added[name] = _merged(self.implementations[name], entry)
        for name in described["gates"]:
            if name in self.gates:
                raise self._given_twice(path, name)
        files = dict(self.files)
        for name in (*added, *described["gates"]):
            files[name] = (*(file for file in files.get(name, ()) if file not in self.broken), path)
        return replace(
            self, gates={**self.gates, **described["gates"]}, implementations={**self.implementations, **added},
            files=files,
        )  # fmt: skip

    def _is_broken(self, name: str) -> bool:
        """Return whether only plugin files that cannot be used give an implementation."""
        return name in self.files and all(file in self.broken for file in self.files[name])

    def _given_twice(self, path: Path, name: str) -> PluginError:
        return PluginError(f"plugin {path.name}", f"{name!r} is given by {self.files[name][0].name} too", "", "rename one of them")  # fmt: skip

    def with_broken_plugin(self, path: Path, reason: str, described: Mapping[str, Any] | None = None) -> "Catalogue":
        """Return the catalogue with a plugin that cannot be used: its names are unavailable.

        described: what it would add, where it can be imported; without it the names are those that its text has.
        """
        if described is None:
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            described = {
                "implementations": _IMPLEMENTATIONS_IN_SOURCE.findall(text), "gates": _GATES_IN_SOURCE.findall(text),
            }  # fmt: skip
        names = [name for name in described["implementations"] if name not in self.implementations]
        gates = [name for name in described["gates"] if name not in self.gates]
        broken = {"builtin": False, "entries": [], "unavailable": dict.fromkeys(("cpu", "cuda"), reason)}
        names = names or [f"file:{path.name}"]
        files = {**self.files, **dict.fromkeys(names, (path,))}
        return replace(
            self,
            implementations={**self.implementations, **dict.fromkeys(names, broken)},
            files=files,
            broken={**self.broken, path: reason},
            broken_gates={
                **self.broken_gates,
                **dict.fromkeys(gates, f"plugin {path.name}, which cannot be used: {reason}"),
            },
        )

    def plugin_files(self, case: Case) -> tuple[Path, ...]:
        """Return the plugin files that a worker needs for a case."""
        return self.files_of(case.gate, case.implementation)

    def files_of(self, gate: str, implementation: str) -> tuple[Path, ...]:
        """Return the plugin files that give a gate and an implementation, each once."""
        return tuple(dict.fromkeys((*self.files.get(gate, ()), *self.files.get(implementation, ()))))


def _changed(
    where: str, described: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> tuple[tuple[str, OptionValue], ...]:
    options = {
        name: Option(entry["default"], _TYPES[entry["type"]], tuple(entry["range"]), entry["doc"])
        for name, entry in described.items()
    }
    bound = bind_options(where, options, given)
    return tuple((name, value) for name, value in bound.items() if value != options[name].default)


def _overlap(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    claims = [{gate for entry in described["entries"] for gate in entry["gates"]} for described in (first, second)]
    return bool(claims[0] & claims[1]) or "*" in claims[0] | claims[1]


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**first, "entries": [*first["entries"], *second["entries"]]}
