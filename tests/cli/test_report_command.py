"""`gatebench report`: the page of a stored run, or of a JSON file, made without what measures."""

import importlib.metadata
import json
import re
import subprocess
import sys

import pytest
from cli_helpers import ROOT, one_line
from packaging.requirements import Requirement

from gatebench.report.ci.ab_json import ab_json
from gatebench.report.ci.ab_markdown import markdown_of
from tests.report.ab_reports import EVERY, report

DOCUMENT = ab_json(report(*EVERY))


def written(path, value=DOCUMENT):
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8", errors="surrogatepass")
    return path


def test_the_page_of_a_file_is_that_of_the_job(gb, tmp_path):
    written(tmp_path / "ab.json")
    assert gb("report", "ab.json", "--markdown", "page.md").code == 0
    assert (tmp_path / "page.md").read_text() == markdown_of(DOCUMENT)
    assert gb("report", "ab.json", "--markdown", "-").out == markdown_of(DOCUMENT) + "\n"


def test_the_page_of_a_stored_run_goes_to_the_summary_too_and_annotates_nothing(gb, stored, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (run,) = (stored / "runs").iterdir()
    for name in ((), (run.name,), (str(run),)):
        answer = gb("report", *name, "--store", stored, "--markdown", "page.md")
        assert (answer.code, answer.out, answer.err) == (0, "", "")
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("**GateBench: ")
    assert f"run `{run.name}`" in page
    assert (tmp_path / "summary.md").read_text() == 3 * (page + "\n")


def test_no_output_is_one_line(gb):
    one_line(gb("report"), "report: no output is asked for", "--markdown FILE")


def test_a_calibration_has_no_page(gb, stored):
    (run,) = (stored / "runs").iterdir()
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps(manifest | {"purpose": "calibrate"}))
    one_line(gb("report", "--store", stored, "--markdown", "-"), "is a calibration", "gatebench compare RUN")


def test_a_run_whose_tables_cannot_be_read_is_one_line(gb, stored):
    (run,) = (stored / "runs").iterdir()
    (run / "samples.parquet").write_bytes(b"nothing")
    one_line(gb("report", "--store", stored, "--markdown", "-"), "samples.parquet cannot be read")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"), ("", "no JSON"), ("[1, 2]", "is not of type 'object'"), ("[" * 100_000, "no JSON"), ("\ud800", "no JSON"),
        (DOCUMENT | {"schema": "gatebench-ab/9"}, "'gatebench-ab/1' was expected"),
        (DOCUMENT | {"exit_code": "\n::error::evil\n"}, "$.exit_code"), (DOCUMENT | {"@evil\n": 1}, "Additional properties"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_line(gb, tmp_path, text, said):
    written(tmp_path / "ab.json", text)
    one_line(gb("report", "ab.json", "--markdown", "-"), "ab.json: ", said, "gatebench ab --json")


def test_a_huge_file_is_not_read(gb, tmp_path):
    with written(tmp_path / "ab.json").open("r+b") as file:
        file.truncate((64 << 20) + 1)
    one_line(gb("report", "ab.json", "--markdown", "-"), "ab.json: larger than 64 MiB")


def test_a_missing_file_and_a_missing_folder_for_the_page_are_one_line(gb, tmp_path):
    one_line(gb("report", "none.json", "--markdown", "-"), "none.json: cannot be read: No such file")
    written(tmp_path / "ab.json")
    one_line(gb("report", "ab.json", "--markdown", "none/page.md"), "--markdown: no folder none")


def needed(names):
    """Return the distributions that these need, and those that they need in turn, extras left out."""
    found = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name not in found:
            found.add(name)
            wanted = map(Requirement, importlib.metadata.requires(name) or [])
            todo += [entry.name for entry in wanted if entry.marker is None or entry.marker.evaluate({"extra": ""})]
    return found


def test_a_page_needs_only_what_the_commenting_workflow_installs(tmp_path):
    workflow = ROOT / "examples" / "kernel-author" / ".github" / "workflows" / "comment.yml"
    names = re.search(r"pip install --quiet (jsonschema .*)", workflow.read_text())[1].split()
    distributions = importlib.metadata.packages_distributions()
    there = needed(names)
    banned = sorted(module for module, owners in distributions.items() if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & there and module != "gatebench")  # fmt: skip
    assert {"torch", "numba", "pytest", "streamlit", "psutil"} <= set(banned)
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({banned!r}))\n"
        "from gatebench.cli.main import main; sys.argv[:] = ['gatebench', 'report', 'ab.json', '--markdown', 'page.md']; main()"
    )
    written(tmp_path / "ab.json")
    done = subprocess.run([sys.executable, "-S", "-c", f"import site; site.main()\n{code}"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.md").read_text() == markdown_of(DOCUMENT)
