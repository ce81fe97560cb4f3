"""A suite: a TOML file that names axes to sweep, and the cases they expand to."""

from gatebench.suites.checks import MAX_CASES
from gatebench.suites.expand import expand
from gatebench.suites.model import Measure, Narrowing, Suite
from gatebench.suites.read import SCHEMA, find_suite, read_suite, shipped_suites, suite_from_data, suite_from_text
from gatebench.suites.stability import expand_stability

__all__ = [
    "MAX_CASES",
    "SCHEMA",
    "Measure",
    "Narrowing",
    "Suite",
    "expand",
    "expand_stability",
    "find_suite",
    "read_suite",
    "shipped_suites",
    "suite_from_data",
    "suite_from_text",
]
