"""`gatebench report`: the page of a stored run, or of a JSON file, made without what measures."""

import errno
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

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


# --- HTML, pictures, two runs


def test_a_run_as_html_goes_to_a_file_whole_or_to_stdout(gb, stored, tmp_path):
    answer = gb("report", "--store", stored, "--html", "out.html")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    text = (tmp_path / "out.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "out.html"]
    assert gb("report", "--store", stored, "--html", "-").out == text


def test_who_waits_at_a_terminal_is_told_what_was_written(gb, stored, tmp_path, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr("gatebench.report.stored_report.tell", told.append)
    assert gb("report", "--store", stored, "--html", "out.html").code == 0
    size = (tmp_path / "out.html").stat().st_size
    assert told == [f"Wrote out.html, {size / 1e6:.1f} MB: open it in a browser."]


@pytest.fixture
def two(tmp_path):
    """A store with two runs of one machine, and the ids."""
    from tests.synthetic import Plan, write_store

    store = tmp_path / "elsewhere"
    plan = Plan(
        runs=2, gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), stability=False, failures=False, suites=("quick",)
    )
    return store, *write_store(store, plan)


def test_two_runs_as_html_and_markdown(gb, two, tmp_path):
    store, old, new = two
    assert gb("report", old, new, "--store", store, "--html", "out.html", "--markdown", "page.md").code == 0
    assert f"A: run {old}" in (tmp_path / "out.html").read_text()
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("**GateBench: what changed from run A to run B**")
    assert f"A: suite `quick`, run `{old}`" in page
    assert "| `T64 B16 H64` |" in page
    assert "Stored runs cannot gate" in page


REFUSED = {
    "stdout twice": (("--html", "-", "--markdown", "-"), "--html: - is given together with --markdown -"),
    "no folder": (("--html", "none/out.html"), "--html: no folder none"),
    "a folder": (("--html", "elsewhere"), "--html: elsewhere is a folder"),
    "no run": (("nosuch", "--html", "out.html"), "no run 'nosuch'"),
    "machines of one run": (("--across-machines", "--html", "out.html"), "--across-machines: given with one run"),
    "no folder for the folder": (("--png", "none/pictures"), "--png: pictures: cannot write: No such file"),
    "a file for a folder": (("--png", "file"), "--png: file is a file; a folder, or a name for a new one"),
    "a JSON file": (("ab.json", "--html", "out.html"), "report: ab.json is a JSON file, and --html is asked for"),
    "two JSON files": (("ab.json", "latest", "--markdown", "-"), "report: ab.json is a JSON file, and a second run is asked for"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_made_is_one_line_and_no_file(gb, stored, tmp_path, name):
    written(tmp_path / "ab.json")
    (tmp_path / "file").touch()
    arguments, said = REFUSED[name]
    one_line(gb("report", *arguments, "--store", stored), said)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ab.json", "elsewhere", "file"]


def test_what_cannot_be_written_is_refused_before_the_run_is_read(gb, stored):
    (run,) = (stored / "runs").iterdir()
    (run / "samples.parquet").write_bytes(b"nothing")
    one_line(gb("report", "--store", stored, "--html", "none/out.html"), "--html: no folder none")


def test_a_full_disk_is_one_line_and_leaves_what_was_there(gb, stored, tmp_path, monkeypatch):
    (tmp_path / "out.html").write_text("before")
    write_text = Path.write_text

    def full(path, text, *more, **named):
        if path.suffix == ".half":
            write_text(path, text[:1000], *more, **named)
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_text(path, text, *more, **named)

    monkeypatch.setattr(Path, "write_text", full)
    one_line(gb("report", "--store", stored, "--html", "out.html"), "out.html: cannot write: No space left on device")
    assert (tmp_path / "out.html").read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "out.html"]


def test_pictures_have_names_of_what_they_show_and_appear_together(gb, stored, tmp_path, monkeypatch):
    import plotly.io

    def write_images(figures, files, **more):
        assert len(figures) == len(files) == len(more["height"])
        for file in files:
            file.write_bytes(b"png")

    monkeypatch.setattr(plotly.io, "write_images", write_images)
    assert gb("report", "--store", stored, "--png", "pictures").code == 0
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert {"compare-compile-against-native.png", "coverage.png", "errors-gru-float32.png"} <= set(names)
    assert [name for name in names if not re.fullmatch(r"[A-Za-z0-9_.=-]+\.png", name)] == []

    def fails(figures, files, **more):
        files[0].write_bytes(b"png")
        raise RuntimeError("no browser here\nmore")

    monkeypatch.setattr(plotly.io, "write_images", fails)
    one_line(gb("report", "--store", stored, "--png", "others"), "--png: no browser here")
    assert list((tmp_path / "others").iterdir()) == []


@pytest.mark.slow
def test_pictures_are_drawn_by_a_browser(gb, stored, tmp_path):
    assert gb("report", "--store", stored, "--png", "pictures").code == 0
    found = [path.read_bytes() for path in (tmp_path / "pictures").iterdir()]
    assert len(found) > 5
    assert all(picture.startswith(b"\x89PNG\r\n") and len(picture) > 5_000 for picture in found)


def test_a_report_loads_neither_torch_nor_numba(stored, tmp_path):
    code = (
        "import sys; from gatebench.cli.main import main\n"
        f"sys.argv[:] = ['gatebench', 'report', '--store', {str(stored)!r}, '--html', 'out.html']\n"
        "try: main()\nexcept SystemExit as left: assert not left.code\n"
        "assert not {'torch', 'numba', 'onnxruntime', 'triton'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.html").stat().st_size > 2_000_000
