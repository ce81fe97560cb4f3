"""Figures in files: what is refused before anything is measured, HTML that needs no network, pictures by a browser."""

import os
import re
import shutil
import struct
from pathlib import Path

import plotly.graph_objects as go
import pytest

from gatebench.errors import UserError
from gatebench.report import figure_files
from gatebench.report.pictures import KINDS, Drawing, check_drawings, draw, draw_all, read_drawings
from gatebench.report.stability_conditions import BANDS, caption
from tests.stability_frames import case, frame, long_rows, profile, spectrum, trained

ALL = frame(
    profile(), spectrum([-0.1, -0.2], [-1.0, -2.0]), trained(), case(init="irnn"),
    [long_rows(metric="saturation_high", part="f", value=0.25)],
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# --- what is asked for


def test_a_figure_is_named_before_its_file_or_by_it():
    Path("folder").mkdir()
    assert read_drawings(["norms=my.png", "sweep.HTML", "spectrum=folder/a=1.svg"]) == [
        Drawing("norms", Path("my.png")), Drawing("sweep", Path("sweep.HTML")), Drawing("spectrum", Path("folder/a=1.svg")),
    ]  # fmt: skip


REFUSED = {
    "unknown kind": (["norm=a.png"], "--draw: unknown figure 'norm'; accepted: norms, saturation, spectrum, summary, sweep, training; did you mean 'norms'?"),
    "a file that is no kind": (["a.png"], "--draw: unknown figure 'a'; accepted: norms, saturation, spectrum, summary, sweep, training; say which: norms=a.png"),
    "unknown ending": (["norms=a.jpg"], "--draw: a.jpg has no known ending; accepted: .html, .png, .svg, .pdf; e.g. norms=norms.html"),
    "no ending": (["norms"], "--draw: norms has no known ending; "),
    "no file": (["norms="], "--draw: norms= has no known ending; "),
    "no folder": (["norms=gone/a.html"], "--draw: no folder gone; accepted: a file in a folder that is there; make it"),
    "a folder": (["norms=dir.html"], "--draw: dir.html is a folder; accepted: "),
    "twice the same file": (["norms=a.html", "summary=./a.html"], "--draw: a.html is named twice; accepted: a file for each figure; "),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_written_is_refused_at_once(name):
    Path("dir.html").mkdir()
    texts, line = REFUSED[name]
    with pytest.raises(UserError) as caught:
        read_drawings(texts)
    assert str(caught.value).startswith(line)


def test_a_file_or_folder_without_permission_is_refused_at_once(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((str(path), mode)))
    for _ in range(2):
        with pytest.raises(UserError, match=r"^--draw: a\.html may not be written there; accepted: .*; check the perm"):
            read_drawings(["norms=a.html"])
        Path("a.html").touch()
    assert asked == [(".", os.W_OK), ("a.html", os.W_OK)]


@pytest.mark.parametrize(("missing", "file"), [("plotly", "a.html"), ("plotly", "a.png"), ("kaleido", "a.png"), ("kaleido", "a.pdf")])  # fmt: skip
def test_a_package_that_is_missing_is_named_with_how_to_get_it(monkeypatch, missing, file):
    monkeypatch.setattr(figure_files.importlib.util, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(UserError) as caught:
        read_drawings([f"norms={file}"])
    line = f"--draw: {missing} is not installed; accepted: with {missing}; pip install 'gatebench[dashboard]'"
    assert str(caught.value) == line


def test_html_needs_no_browser(monkeypatch):
    monkeypatch.setattr(figure_files.importlib.util, "find_spec", lambda name: None if name == "kaleido" else name)
    assert read_drawings(["norms=a.html"])


def request(*metrics, task=None):
    return {"metrics": list(metrics), "task": task}


@pytest.mark.parametrize("kind", [kind for kind, needed in KINDS.items() if needed])
def test_a_figure_is_refused_where_no_metric_has_anything_for_it(kind):
    drawings = [Drawing(kind, Path("a.html"))]
    with pytest.raises(UserError, match=rf"^--draw: {kind} would show nothing; accepted: with --metric .*; ask"):
        check_drawings(drawings, [request("theory"), request("determinant", task="adding")])
    for metric in KINDS[kind]:
        check_drawings(drawings, [request("theory"), request(metric)])


def test_training_is_refused_where_nothing_is_trained():
    drawings = [Drawing("training", Path("a.html"))]
    with pytest.raises(UserError, match=r"^--draw: training would show nothing; accepted: with --after-steps; "):
        check_drawings(drawings, [request("profile")])
    check_drawings(drawings, [request("profile"), request("profile", task="adding")])


# --- what is written


def test_html_holds_the_figure_and_all_that_it_needs():
    draw(ALL, Drawing("norms", Path("a.html")))
    text = Path("a.html").read_text(encoding="utf-8")
    assert "Plotly.newPlot" in text
    assert "lag (steps back)" in text
    assert not re.search(r"<(script|link)[^>]+(src|href)\s*=", text)
    assert len(text) > 1_000_000  # plotly.js itself


SHOWN = {
    "norms": "lag (steps back)", "summary": "half-life (steps)", "saturation": "share of values",
    "sweep": "steps of training", "spectrum": "index (1 is the largest)", "training": "clip rate (per window)",
}  # fmt: skip
EMPTY = {
    "norms": "No gradient norm here", "summary": "No half-life and no Lyapunov exponent here", "saturation": "No saturation",
    "sweep": "Nothing here differs in a number", "spectrum": "No spectrum here", "training": "No training here",
}  # fmt: skip


def drawn(monkeypatch, rows, kind, file="a.html"):
    """Return the figure that is about to be written."""
    figures = []
    monkeypatch.setattr(go.Figure, "to_html", lambda self, **more: figures.append(self) or "")
    monkeypatch.setattr(go.Figure, "to_image", lambda self, *arguments, **more: figures.append(self) or b"")
    draw(rows, Drawing(kind, Path(file)))
    return figures[0]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_drawn_of_what_was_measured_and_says_why_of_nothing(monkeypatch, kind):
    figure = drawn(monkeypatch, ALL, kind)
    assert SHOWN[kind] in figure.to_json()
    assert (figure.layout.width, figure.layout.paper_bgcolor) == (None, "white")
    picture = drawn(monkeypatch, ALL, kind, "a.png")
    assert (picture.layout.width, picture.layout.paper_bgcolor) == (figure_files.WIDTH, "white")
    assert picture.layout.height >= figure.layout.height - 40  # the legend of a narrow page may take more
    for rows in (ALL.iloc[:0], ALL.assign(status="failed")):
        (note,) = drawn(monkeypatch, rows, kind).layout.annotations
        assert EMPTY[kind] in note.text


def test_series_are_named_by_what_is_drawn_alone(monkeypatch):
    probe = [{**row, "probe": "gaussian:0"} for row in profile()]
    rows = frame(profile(), probe, spectrum([-0.1]), case(init="irnn", seq_len=16))

    def legend(kind):
        return [entry.name for entry in drawn(monkeypatch, rows, kind).data if entry.name]

    assert legend("norms")[:2] == ["torch, T=8", "torch, T=8, probe gaussian:0"]
    assert legend("spectrum")[0] == "torch"
    task = frame(trained(), [{**row, "task": "adding", "train_step": 0} for row in probe])
    assert [entry.name for entry in drawn(monkeypatch, task, "training").data if entry.name] == ["lstm, torch"]


def test_html_has_a_title_and_a_caption_and_the_width_of_its_window():
    draw(ALL, Drawing("norms", Path("a.html")))
    text = Path("a.html").read_text(encoding="utf-8")
    assert "<title>Gradient norms | GateBench</title>" in text
    assert ">lstm, T 8, B 2, H 4, inputs normal, init torch, float32, 2 seeds. Lines: medians" in text
    assert not re.search(r"width:\s*\d+px", text[text.rindex("Plotly.newPlot") - 500 :])
    assert '"responsive": true' in text
    assert '"width":1000' not in text


def test_pictures_say_below_the_panels_what_all_cases_share_and_what_bands_are(monkeypatch):
    one = frame(case(), case(dtype="float64"), case(seq_len=16, seed=1), [long_rows(metric="train_loss", batch=9, value=1.0)])  # fmt: skip
    title = drawn(monkeypatch, one, "summary", "a.svg").layout.title
    text = title.text.replace("<br>", " ")
    assert text.startswith("lstm, B 2, H 4, inputs normal, init torch, 1 seed. Marks and bars: medians with deciles ")
    assert (title.y, title.yref, title.font.color) == (0, "container", figure_files.GREY)
    assert max(map(len, title.text.split("<br>"))) <= 180
    assert drawn(monkeypatch, one.iloc[:0], "summary", "a.svg").layout.title.text is None


@pytest.mark.parametrize("kind", KINDS)
def test_each_caption_ends_with_what_bands_are(kind):
    assert caption(ALL, kind).endswith(BANDS[kind])
    assert caption(ALL.assign(status="failed"), kind) == ""


def test_a_caption_says_the_task_and_an_input_size_that_follows_from_nothing():
    assert caption(frame(trained()), "training").startswith("lstm, T 8, B 2, H 4, init torch, float32, task adding, 1 seed. ")  # fmt: skip
    assert ", T 8, B 2, I 7, H 4, " in caption(frame(case(input_size=7)), "sweep")
    assert ", 1 to 2 seeds. " in caption(frame(case(), case(init="irnn"), case(init="irnn", seed=1)), "summary")


def test_a_picture_is_as_wide_as_its_legend_counts_with(monkeypatch):
    rows = frame(*(profile(init=f"forget_bias={bias}") for bias in range(6)))
    tops = [drawn(monkeypatch, rows, "norms", file).layout.margin.t for file in ("a.html", "a.png")]
    assert tops[1] < tops[0]


def test_a_file_that_cannot_be_written_is_one_line():
    Path("a.html").mkdir()
    with pytest.raises(UserError) as caught:
        draw(ALL, Drawing("norms", Path("a.html")))
    assert str(caught.value) == (
        "--draw: a.html: cannot write: Is a directory; a file in a folder that can be written is accepted; choose another"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [(RuntimeError("\n\nKaleido requires Google Chrome to be installed.\nmore"), "Kaleido requires Google Chrome to be installed"),
     (TimeoutError(), "TimeoutError"), (ValueError("no such format"), "no such format")],
)  # fmt: skip
def test_whatever_a_browser_does_is_one_line_and_no_file(monkeypatch, error, reason):
    def to_image(self, *arguments, **more):
        raise error

    monkeypatch.setattr(go.Figure, "to_image", to_image)
    with pytest.raises(UserError) as caught:
        draw(ALL, Drawing("norms", Path("a.png")))
    assert str(caught.value) == f"--draw: {reason}; accepted: .html anywhere, pictures where Chrome or Chromium runs; draw HTML"  # fmt: skip
    assert not Path("a.png").exists()


@pytest.mark.parametrize("file", ["a.html", "a.svg"])
def test_what_is_cut_while_it_is_written_leaves_the_old_file_and_nothing_else(monkeypatch, file):
    monkeypatch.setattr(go.Figure, "to_image", lambda self, *arguments, **more: b"picture")
    Path(file).write_text("old")

    def cut(path, content, **settings):
        with path.open("w") as half:
            half.write("new")
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", cut)
    monkeypatch.setattr(Path, "write_bytes", cut)
    with pytest.raises(KeyboardInterrupt):
        draw(ALL, Drawing("norms", Path(file)))
    assert [(path.name, path.read_text()) for path in Path().iterdir()] == [(file, "old")]


def test_one_figure_that_fails_keeps_no_other_from_being_drawn():
    Path("a.html").mkdir()
    with pytest.raises(UserError, match=r"^--draw: a\.html: cannot write"):
        draw_all(ALL, [Drawing("norms", Path("a.html")), Drawing("summary", Path("b.html"))])
    assert Path("b.html").stat().st_size > 0


@pytest.mark.slow
def test_a_picture_has_the_size_of_its_figure():
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.fail("no chromium here; install it with: apt-get install chromium")
    draw(ALL, Drawing("summary", Path("a.PNG")))
    picture = Path("a.PNG").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert (width, height > 200) == (figure_files.WIDTH, True)
    assert len(set(picture)) > 100  # it is not blank
