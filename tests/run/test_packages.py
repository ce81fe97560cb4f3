"""Plugins that are installed as packages: found by their entry points, and stored with their versions."""

import os

import pytest
from run_helpers import QUICK, SHAPE

from gatebench.errors import UserError
from gatebench.run.discover import discover
from gatebench.run.execute import Request, make_header, make_plan
from gatebench.run.progress import Silent
from gatebench.run.publish import manifest
from gatebench.run.resume import resume
from gatebench.store.journal import Journal
from gatebench.suites import Narrowing, Suite

MODULE = """
import gatebench

@gatebench.implementation("lab:packed", gates=["glu"])
def packed(params, inputs, gate):
    return gate.forward(params, inputs)
"""


def install(folder, package, version="1.2"):
    """Lay a package out as pip does: its module, its metadata, its entry point."""
    module = package.replace("-", "_")
    (folder / f"{module}.py").write_text(MODULE)
    info = folder / f"{module}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[gatebench.implementations]\nlab:packed = {module}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with packages that worker processes see."""
    folder = tmp_path / "site"
    folder.mkdir()
    install(folder, "gatebench-lab")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
    return folder


def header():
    """Return what a run over the package's implementation keeps of itself."""
    shape = {"batch": 1, "seq_len": 2, "input_size": 4, "hidden_size": 4}
    assert shape == SHAPE.__dict__
    group = {
        "why": "Is the version stored?", "gates": ["glu"], "implementations": ["eager", "lab:packed"],
        "shapes": [shape], "threads": [1],
    }  # fmt: skip
    suite = Suite("packages", "", 0, QUICK, (group,), (), (), "", "packages.toml")
    request = Request(suite, Narrowing())
    return make_header(request, make_plan(request, discover()))


def test_a_run_stores_the_package_and_version_of_what_it_measured(site):
    stored = manifest("run", "complete", header())["plugins"]
    assert stored == [
        {"name": "lab:packed", "file": None, "sha256": None, "text": None, "package": "gatebench-lab", "version": "1.2"}
    ]


def test_resuming_with_another_version_or_without_the_package_is_refused(site, tmp_path):
    journal = Journal(tmp_path, "20260101T000000Z-0000")
    journal.write_header(header())
    journal.close()
    install(site, "gatebench-lab", "1.3")
    with pytest.raises(UserError, match=r"^--resume: lab:packed is given by gatebench-lab 1\.3; gatebench-lab 1\.2, with which the run began; .*"):  # fmt: skip
        resume(tmp_path, None, Silent())
    (site / "gatebench_lab.dist-info" / "entry_points.txt").unlink()
    with pytest.raises(UserError, match=r"^--resume: lab:packed is given by no package; "):
        resume(tmp_path, None, Silent())


def test_a_name_that_two_packages_give_is_an_error_that_names_both(site):
    install(site, "other-lab")
    described = discover().implementations["lab:packed"]
    assert described["entries"] == []
    (reason,) = set(described["unavailable"].values())
    assert "given by" in reason
    assert {"gatebench-lab", "other-lab"} <= set(reason.replace(";", " ").split())


def test_a_name_that_a_package_and_a_file_give_is_an_error_that_names_both(site, tmp_path):
    (tmp_path / "mine.py").write_text(MODULE.replace('["glu"]', '["lstm"]'))
    reason = discover([tmp_path / "mine.py"]).broken[(tmp_path / "mine.py").resolve()]
    assert reason.startswith("plugin mine.py: 'lab:packed' is given by package gatebench-lab too; ")


def test_an_entry_point_whose_name_its_module_does_not_register_says_what_it_registers(site):
    (site / "gatebench_lab.dist-info" / "entry_points.txt").write_text(
        "[gatebench.implementations]\nlab:packed = gatebench_lab\nlab:typo = gatebench_lab\n"
    )
    found = discover().implementations
    assert [entry["gates"] for entry in found["lab:packed"]["entries"]] == [["glu"]]
    assert found["lab:typo"]["entries"] == []
    assert found["lab:typo"]["unavailable"]["cpu"].startswith(
        "package gatebench-lab: names lab:typo, and its module gatebench_lab registers lab:packed; "
    )


def test_a_package_whose_gate_cannot_be_imported_costs_that_gate_only(site):
    (site / "broken_lab.py").write_text("import gatebench\nimport a_package_that_is_missing\n")
    info = site / "broken_lab.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-lab\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[gatebench.gates]\nlab:leaky = broken_lab:Leaky\n")
    catalogue = discover()
    assert "lab:leaky" not in catalogue.gates
    assert {"lstm", "glu"} <= set(catalogue.gates)
    error = catalogue.unknown("-g", "gate", "lab:leaky")
    assert str(error).startswith(
        "-g: gate 'lab:leaky' comes from a package that cannot be used: ModuleNotFoundError: No module"
    )
    assert "(broken_lab.py:2)" in str(error)


def test_a_packages_unknown_gate_costs_no_plugin_file(site, tmp_path):
    (site / "gatebench_lab.py").write_text(MODULE.replace('["glu"]', '["glu", "lab:elsewhere"]'))
    mine = tmp_path / "mine.py"
    mine.write_text(MODULE.replace("lab:packed", "lab:mine"))
    found = discover([mine])
    assert found.broken == {}
    assert {"lab:packed", "lab:mine"} <= found.implementations.keys()
