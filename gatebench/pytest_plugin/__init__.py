"""`pytest suites/`: suite files are collected as tests, one per case, and timed through pytest-benchmark.

Everyone who has gatebench installed loads this module with each pytest, so it imports next to nothing by itself.
"""

import re
from pathlib import Path
from typing import Any

import pytest

SCHEMA = "gatebench-suite/1"  # of gatebench.suites, whose import takes longer than this module's
_SCHEMA_LINE = re.compile(rf"""^\s*["']?schema["']?\s*=\s*["']{re.escape(SCHEMA)}["']""", re.MULTILINE)
SUITES = pytest.StashKey[list[Any]]()  # runs.SuiteRun of this session, in the order of collection
LINES = pytest.StashKey[list[str]]()  # to be said at the end


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--gatebench-store`."""
    group = parser.getgroup("gatebench", "gatebench suites")
    group.addoption(
        "--gatebench-store",
        metavar="PATH",
        help="where the run folder of what was timed is written; `none`: nowhere. (default: GATEBENCH_STORE, or results)",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect TOML files that are gatebench suites; all others are left alone."""
    if file_path.suffix != ".toml" or not is_suite(file_path):
        return None
    from gatebench.pytest_plugin.collection import SuiteFile

    return SuiteFile.from_parent(parent, path=file_path)


def is_suite(path: Path) -> bool:
    """Say whether a TOML file has `schema = "gatebench-suite/1"`; one that is no TOML, whether it has such a line."""
    try:
        data = path.read_bytes()
    except OSError:
        return False  # whoever needs the file will say that it cannot be read
    if SCHEMA.encode() not in data:
        return False
    import tomllib

    text = data.decode("utf-8", "replace")
    try:
        return tomllib.loads(text).get("schema") == SCHEMA
    except (tomllib.TOMLDecodeError, RecursionError):
        return _SCHEMA_LINE.search(text) is not None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the run folders of what was timed; after Ctrl-C, too."""
    if SUITES in session.config.stash:
        from gatebench.pytest_plugin.runs import write_runs

        write_runs(session, exitstatus)


@pytest.hookimpl(tryfirst=True)  # before pytest-benchmark's tables, which end with an error where something regressed
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the run folders are, and what could not be used or written."""
    for line in config.stash.get(LINES, ()):
        terminalreporter.write_line(line)
