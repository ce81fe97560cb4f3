"""Names in suites and on the command line: gates, families, implementations, and what narrows a suite."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from gatebench.cases import DTYPES, MODES
from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError, unknown
from gatebench.selection import FAMILY, expand_families
from gatebench.suites.checks import texts
from gatebench.suites.model import Narrowing


def group_gates(where: str, group: Mapping[str, Any], catalogue: Catalogue) -> list[str]:
    """Return the gates that a group asks for."""
    return gates_named(f"{where}.gates", texts(where, group, "gates", None), catalogue)


def gates_named(where: str, given: Iterable[str], catalogue: Catalogue) -> list[str]:
    """Return names of gates, each `family:<name>` replaced by its members."""
    families = {gate: catalogue.family(gate) for gate in catalogue.gates}

    def unknown_gate(name: str) -> Exception:
        if name.startswith(FAMILY):
            return unknown(where, "family", name, {FAMILY + family for family in families.values()}, SuiteError)
        return catalogue.unknown(where, "gate", name)

    return expand_families(catalogue.gates if "*" in given else given, families, unknown_gate)


def check_known(where: str, kind: str, names: Iterable[str], catalogue: Catalogue) -> None:
    """Raise SuiteError for the first name of a gate or implementation that does not exist."""
    known = catalogue.gates if kind == "gate" else catalogue.implementations
    for name in names:
        if name not in known:
            raise catalogue.unknown(where, kind, name)


def check_narrowing(narrowing: Narrowing, catalogue: Catalogue) -> Narrowing:
    """Check the names on the command line; returns the narrowing with families and `*` replaced."""
    for name in narrowing.options:
        if name not in catalogue.gates and name not in catalogue.implementations:
            raise unknown(
                "-o", "gate or implementation", name, [*catalogue.gates, *catalogue.implementations], SuiteError
            )
        check = catalogue.check_options if name in catalogue.gates else catalogue.check_implementation_options
        check("-o", name, narrowing.options[name])
    for flag, kind, values, choices in (
        ("-m", "mode", narrowing.modes, MODES),
        ("--dtype", "dtype", narrowing.dtypes, DTYPES),
    ):
        for value in values:
            if value not in choices:
                raise unknown(flag, kind, value, choices, SuiteError)
    implementations = () if "*" in narrowing.implementations else narrowing.implementations
    check_known("-i", "implementation", implementations, catalogue)
    return replace(
        narrowing, gates=tuple(gates_named("-g", narrowing.gates, catalogue)), implementations=implementations,
        threads=tuple(count or catalogue.cores for count in narrowing.threads),
    )  # fmt: skip
