"""Pages of the documentation that say what the code says: generated ones, and keys and examples of others."""

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import pytest

from gatebench import gates
from gatebench.forms import DEFAULT_METRICS, INITS, INPUTS, METRICS, TASKS
from gatebench.suites import read_suite
from gatebench.suites.model import Measure
from gatebench.suites.read import KEYS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def written(name):
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


@pytest.mark.parametrize("name", ["gates", "columns"])
def test_a_generated_page_is_up_to_date(name):
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == written(name), "run `make docs`"


def test_every_gate_has_an_entry_with_equation_and_source():
    text = written("gates")
    for name in gates.names():
        part = text.split(f"### `{name}`\n")[1].split("\n### ")[0]
        assert "```math" in part
        assert "- Source: " in part
        for option in gates.get(name).options:
            assert f"- Option `{option}`: " in part


def test_the_page_of_suites_names_every_key():
    parts = re.split(r"^## ", (DOCS / "suites.md").read_text(encoding="utf-8"), flags=re.M)
    named = {
        part.partition("\n")[0]: set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", part, re.M))))
        for part in parts
    }
    measure = {field.name for field in fields(Measure)}
    assert named["The file"] == {*KEYS["suite"], *measure} - {"measure", "cases", "stability"}
    assert named["`[[cases]]`"] == set(KEYS["cases"])
    assert named["`[stability]`"] == set(KEYS["stability"])


def section_of_suites(title):
    return (DOCS / "suites.md").read_text(encoding="utf-8").split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_page_of_suites_lists_every_group_of_metrics_and_every_task():
    metrics = dict(re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", section_of_suites("Metrics"), re.M))
    assert metrics == {name: "yes" if name in DEFAULT_METRICS else "no" for name in METRICS}
    tasks = re.findall(r"^\| `(\w+)` \| (\d+) ", section_of_suites("Training"), re.M)
    assert {name: int(width) for name, width in tasks} == TASKS


def test_the_page_of_suites_explains_every_initialisation_and_kind_of_inputs():
    rows = re.findall(r"^\| (`.*?`) \|", section_of_suites("Initialisations and inputs"), re.M)
    assert set(re.findall(r"`(\w+)", "".join(rows))) == {form.name for form in (*INITS, *INPUTS)}


def test_the_example_of_a_suite_is_one(tmp_path):
    example, trained = re.findall(r"```toml\n(.*?)```", (DOCS / "suites.md").read_text(encoding="utf-8"), re.S)
    (tmp_path / "fused.toml").write_text(example)
    suite = read_suite(tmp_path / "fused.toml")
    assert (suite.name, suite.measure.blocks, len(suite.cases), len(suite.stability)) == ("fused", 5, 2, 1)
    (tmp_path / "trained.toml").write_text(trained)
    (group,) = read_suite(tmp_path / "trained.toml").stability
    assert set(group["tasks"]) <= set(TASKS)
    assert set(group["metrics"]) <= set(METRICS)
