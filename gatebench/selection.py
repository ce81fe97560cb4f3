"""How gates and cases are chosen by text, on the command line, in suites and from stored runs: `family:<name>`, globs."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

FAMILY = "family:"


def matches_glob(case_id: str, glob: str) -> bool:
    """Return whether a glob matches a case id, or a part of it."""
    return fnmatchcase(case_id, glob) or fnmatchcase(case_id, f"*{glob}*")


def expand_families(
    names: Iterable[str], families: Mapping[str, str], unknown: Callable[[str], Exception]
) -> list[str]:
    """Return names of gates, once each, with `family:<name>` replaced by its members.

    families: family by gate. unknown(name): the error that is raised for a gate or family that is not there.
    """
    found: list[str] = []
    for name in names:
        members = [gate for gate, family in families.items() if name in (gate, FAMILY + family)]
        if not members:
            raise unknown(name)
        found += members
    return list(dict.fromkeys(found))
