"""docs/ab.md says what the command says: its options, the settings, and samples that a real run printed."""

import re
from pathlib import Path

import pytest
import typer
from workflow_steps import ROOT

from gatebench.analyze.plan import FAIL_ON
from gatebench.cli.ab import command
from gatebench.run.ab.settings import settings_of

PAGES = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("ab.md", "ci.md")}


def section(title):
    return PAGES["ab.md"].split(f"## {title}\n")[1].split("\n## ")[0]


def flags():
    """Return every option of `gatebench ab`."""
    app = typer.Typer()
    app.command()(command)
    return {flag for parameter in typer.main.get_command(app).params for flag in parameter.opts}


def test_the_page_names_options_that_exist():
    named = set(re.findall(r"`(--?[a-z][a-z-]*)", section("Options")))
    assert {"--margin", "--time-limit", "--build", "--plugin", "--python-base", "--fail-on", "-k"} <= named <= flags()


def test_the_page_has_a_line_for_every_exit_code_and_kind():
    text = section("Exit codes")
    assert re.findall(r"^\| (\d+) \|", text, re.M) == ["130", "2", "3", "4", "1", "5", "0"]
    assert [kind in text for kind in FAIL_ON] == [True] * len(FAIL_ON)


def test_the_pages_settings_are_read(tmp_path: Path):
    (tmp_path / "pyproject.toml").write_text(re.search(r"```toml\n(.*?)```", PAGES["ab.md"], re.S)[1])
    settings = settings_of(tmp_path)
    assert (settings.suite, settings.margin, settings.time_limit_s) == ("suites/speed.toml", 0.03, 900.0)


@pytest.mark.parametrize("name", PAGES)
def test_every_sample_is_there(name):
    samples = re.findall(r"<!-- sample: \w+ -->\n(.*?)<!-- end -->", PAGES[name], re.S)
    assert [len(text.splitlines()) > 5 for text in samples] == [True, True]
