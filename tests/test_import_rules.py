"""Who may import whom (DESIGN: gates <- implementations; store, analyze and report know no torch; nobody imports cli)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "numba", "onnxruntime", "onnx", "triton")

# Stage of the flow -> the parts of gatebench that it must not import, and libraries that it must not load.
STAGES = {
    "gatebench.gates": ("gatebench.implementations", "gatebench.measure", "gatebench.stability", "gatebench.run", "gatebench.store", "gatebench.analyze", "gatebench.report"),
    "gatebench.implementations": ("gatebench.measure", "gatebench.stability", "gatebench.run", "gatebench.store", "gatebench.analyze", "gatebench.report"),
    "gatebench.measure": ("gatebench.run", "gatebench.store", "gatebench.analyze", "gatebench.report", "gatebench.suites"),
    "gatebench.stability": ("gatebench.run", "gatebench.store", "gatebench.analyze", "gatebench.report", "gatebench.suites", "gatebench.implementations"),
    "gatebench.conformance": ("gatebench.run", "gatebench.store", "gatebench.analyze", "gatebench.report", "gatebench.suites"),
    "gatebench.run.worker": ("gatebench.suites", "gatebench.store", "gatebench.analyze", "gatebench.report"),
    "gatebench.store": (*HEAVY, "gatebench.gates", "gatebench.implementations", "gatebench.measure", "gatebench.stability", "gatebench.run", "gatebench.analyze", "gatebench.report", "gatebench.query"),
    "gatebench.analyze": (*HEAVY, "gatebench.gates", "gatebench.implementations", "gatebench.measure", "gatebench.stability", "gatebench.run", "gatebench.report", "gatebench.query"),
    "gatebench.query": (*HEAVY, "gatebench.gates", "gatebench.implementations", "gatebench.measure", "gatebench.stability", "gatebench.run", "gatebench.report"),
    "gatebench.report": (*HEAVY, "gatebench.gates", "gatebench.implementations", "gatebench.measure", "gatebench.stability", "gatebench.run"),
    "gatebench.suites": (*HEAVY, "gatebench.gates", "gatebench.implementations", "gatebench.measure", "gatebench.stability", "gatebench.run", "gatebench.store"),
    "dashboard": (*HEAVY, "gatebench.gates", "gatebench.implementations", "gatebench.measure", "gatebench.stability", "gatebench.run", "gatebench.suites", "gatebench.registry"),
    "gatebench.cli": HEAVY,
}  # fmt: skip
NOBODY = ("gatebench.cli", "dashboard")
PRIVATE = "gatebench.torch_private"  # the one file that may use private names of torch


def modules(root):
    """Return the name and file of every module below `root`'s gatebench and dashboard."""
    for package in ("gatebench", "dashboard"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(name, path):
    """Return the dotted names that a module imports, also inside functions; those for type checkers alone are left out."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def below(name, parent):
    return name == parent or name.startswith(f"{parent}.")


def violations(root):
    """Return `module imports name`, one line per broken rule."""
    found = []
    for name, path in modules(root):
        taken = imports(name, path)
        banned = [target for stage, targets in STAGES.items() if below(name, stage) for target in targets]
        banned += [target for target in NOBODY if not below(name, target)]
        found += [f"{name} imports {target}" for target in banned if any(below(other, target) for other in taken)]
        private = [
            other for other in taken if below(other, "torch") and any(part.startswith("_") for part in other.split("."))
        ]
        found += [f"{name} imports {other}" for other in private if name != PRIVATE]
    return found


def test_every_module_keeps_the_import_rules():
    assert violations(ROOT) == []


def test_every_stage_that_has_a_rule_exists():
    names = {name for name, _ in modules(ROOT)}
    assert {stage for stage in STAGES if stage not in names and not (ROOT / stage).is_dir()} == set()


PLANTED = {
    "gatebench/store/read.py": ("import torch.nn", "gatebench.store.read imports torch"),
    "gatebench/report/table.py": ("def f():\n    from gatebench.gates import get", "gatebench.report.table imports gatebench.gates"),
    "gatebench/analyze/deep/x.py": ("from numba import njit", "gatebench.analyze.deep.x imports numba"),
    "gatebench/gates/draw.py": ("from ..implementations import eager", "gatebench.gates.draw imports gatebench.implementations"),
    "gatebench/run/worker.py": ("from gatebench import suites", "gatebench.run.worker imports gatebench.suites"),
    "gatebench/run/x.py": ("from gatebench.cli.main import main", "gatebench.run.x imports gatebench.cli"),
    "gatebench/measure/__init__.py": ("from ..run import runner", "gatebench.measure imports gatebench.run"),
    "dashboard/app.py": ("import gatebench.run.execute", "dashboard.app imports gatebench.run"),
    "gatebench/measure/x.py": ("from torch._dynamo.utils import counters", "gatebench.measure.x imports torch._dynamo.utils"),
}  # fmt: skip


@pytest.mark.parametrize("file", PLANTED)
def test_a_planted_violation_is_found(tmp_path, file):
    text, expected = PLANTED[file]
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert expected in violations(tmp_path)


def test_imports_for_type_checkers_and_own_neighbours_are_no_violation(tmp_path):
    path = tmp_path / "gatebench" / "store" / "read.py"
    path.parent.mkdir(parents=True)
    path.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\nfrom . import write\nimport torchlike\n")  # fmt: skip
    assert violations(tmp_path) == []


# --- the same, seen at run time


def loaded(code):
    """Return which heavy libraries are loaded after running `code` in a fresh process."""
    text = f"import sys\n{code}\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


EVERY = """
import importlib, pkgutil
for name in {packages!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
"""
HELP = """
sys.argv = ["gatebench", "--help"]
from gatebench.cli.main import main
try: main()
except SystemExit: pass
"""


@pytest.mark.parametrize("packages", [["gatebench.store"], ["gatebench.analyze"], ["gatebench.report"], ["gatebench.cli", "gatebench.suites"]])  # fmt: skip
def test_no_module_of_the_reading_half_loads_torch_or_numba(packages):
    assert loaded(EVERY.format(packages=packages)) == "[]"


def test_help_and_the_package_itself_load_neither_torch_nor_numba():
    assert loaded(HELP) == "[]"
    assert loaded("import gatebench; gatebench.Shape; gatebench.load; gatebench.implementation") == "[]"


def test_the_look_at_run_time_sees_what_is_loaded():
    assert loaded("import gatebench.gates") == "['torch']"
