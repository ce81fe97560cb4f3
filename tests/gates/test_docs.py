"""docs/gates.md is what the code says."""

import importlib.util
from pathlib import Path

from gatebench import gates

DOCS = Path(__file__).resolve().parents[2] / "docs"


def written():
    spec = importlib.util.spec_from_file_location("docs_gates", DOCS / "gates.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


def test_the_page_of_gates_is_up_to_date():
    assert (DOCS / "gates.md").read_text(encoding="utf-8") == written(), "run `make docs`"


def test_every_gate_has_an_entry_with_equation_and_source():
    text = written()
    for name in gates.names():
        part = text.split(f"### `{name}`\n")[1].split("\n### ")[0]
        assert "```math" in part
        assert "- Source: " in part
        for option in gates.get(name).options:
            assert f"- Option `{option}`: " in part
