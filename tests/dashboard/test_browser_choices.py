"""Choices in a real browser: filters reach the URL, a reload shows the same, clicks and keys open samples, files hold what is shown."""

import io
import re

import pandas as pd
import pytest
from browsing import box, choose, opening, query, settled
from playwright.sync_api import Page, expect

import gatebench
from gatebench.report.side_words import outcome_text


@pytest.fixture
def opened(browser, browsed):
    with opening(browser, browsed) as open_path:
        yield open_path


def test_a_changed_filter_reaches_the_url_and_a_reload_shows_the_same_view(opened):
    page = opened("/scaling")
    choose(page, "Gate", "gru")
    choose(page, "Against", "H")
    expect(page.get_by_text("gru · forward · float32")).to_be_visible()
    page.wait_for_url(lambda url: "gate=gru" in url and "axis=H" in url)
    before = page.locator("[data-testid=stCaptionContainer]").first.inner_text()
    page.reload()
    settled(page)
    expect(page.get_by_text("gru · forward · float32")).to_be_visible()
    assert page.locator("[data-testid=stCaptionContainer]").first.inner_text() == before
    assert query(page) == {"gate": ["gru"], "axis": ["H"]}
    expect(page.locator(".st-key-scaling")).to_contain_text("H (hidden size)")


def test_filters_are_kept_across_pages_and_come_back(opened):
    page = opened("/scaling?gate=gru&axis=H")
    page.get_by_role("link", name="Winner map").click()
    expect(page.locator("h1")).to_have_text("Winner map")
    settled(page)
    expect(page.get_by_text("gru · forward · float32")).to_be_visible()
    page.wait_for_url(lambda url: "gate=gru" in url)
    page.get_by_role("link", name="Scaling").click()
    expect(page.locator("h1")).to_have_text("Scaling")
    settled(page)
    page.wait_for_url(lambda url: "gate=gru" in url and "axis=H" in url)


def test_a_value_that_does_not_exist_is_named_and_leaves_the_url(opened):
    page = opened("/winner_map?gate=nosuch&mode=forward_backward")
    expect(page.get_by_text("gate = nosuch does not exist here and was dropped.")).to_be_visible()
    expect(page.get_by_text("lstm · forward + backward")).to_be_visible()
    page.wait_for_url(lambda url: "gate=" not in url and "mode=forward_backward" in url)


def test_sweep_spectra_and_training_are_shown_and_the_choice_is_kept(opened):
    page = opened("/stability?seq_len=64")
    page.set_viewport_size({"width": 1000, "height": 1400})  # an open list closes when the sidebar scrolls to it
    for key in ("norms", "summary", "spectrum", "saturation", "sweep"):
        expect(page.locator(f".st-key-{key} .js-plotly-plot")).to_be_visible()
    settled(page)
    choose(page, "Sweep against", "T")
    page.wait_for_url(lambda url: "against=T" in url)
    page.reload()
    settled(page)
    expect(page.get_by_text("Half-life and exponent against T (steps)")).to_be_visible()
    choose(page, "Task", "adding")
    expect(page.get_by_text("What training does")).to_be_visible()
    page.wait_for_url(lambda url: "task=adding" in url and "against" not in url)
    expect(page.get_by_text("sweep against = T does not exist here and was dropped.")).to_be_visible()


def test_every_case_of_the_stability_page_is_one_line(opened):
    page = opened("/stability?seq_len=64")
    expect(page.locator("tbody tr").nth(10)).to_be_visible()  # on a busy machine the table comes after the title
    heights = page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.clientHeight)")
    assert max(heights) < 1.5 * min(heights)


def test_a_click_on_a_cell_of_the_winner_map_opens_its_raw_samples_and_the_link_does_too(opened):
    page = opened("/winner_map")
    tile = page.locator(".st-key-winner_map .barlayer .point", has_text="numba").first
    tile.scroll_into_view_if_needed()
    x, y = middle(tile)
    sizes = nearest_tick(page, "xtick", x, 0), nearest_tick(page, "ytick", y, 1)
    page.mouse.click(x, y)
    page.wait_for_url(lambda url: "ask_t" in url and "ask_h" in url)
    settled(page)
    assert (query(page)["ask_t"], query(page)["ask_h"]) == ([sizes[0]], [sizes[1]])
    samples_of(page, *sizes)
    page.reload()
    settled(page)
    samples_of(page, *sizes)


def samples_of(page: Page, seq_len: str, hidden_size: str) -> None:
    """Check that the answer for these sizes and the raw samples behind it are shown."""
    expect(page.get_by_role("heading", name=f"T = {seq_len}, H = {hidden_size}, B = 16")).to_be_visible()
    expect(page.get_by_text(re.compile(r"n = 3 blocks, \d+ kept samples"))).to_be_visible()
    expect(page.locator("[class*=st-key-samples_] .js-plotly-plot")).to_be_visible()


def middle(element) -> tuple[float, float]:
    found = element.bounding_box()
    return found["x"] + found["width"] / 2, found["y"] + found["height"] / 2


def nearest_tick(page: Page, kind: str, place: float, axis: int) -> str:
    """Return the label of the tick of the winner map that is nearest to a place on the screen."""
    ticks = page.locator(f".st-key-winner_map .{kind} text").all()
    return min(ticks, key=lambda tick: abs(middle(tick)[axis] - place)).text_content()


@pytest.mark.parametrize("path", ["scaling", "coverage"])
def test_a_click_on_a_figure_dims_nothing(opened, path):
    page = opened(f"/{path}")
    figure = page.locator(f".st-key-{path}")
    point = figure.locator(".points path").first
    point.wait_for()
    before = looks(figure)
    page.mouse.click(*middle(point))
    page.wait_for_url(lambda url: "case=" in url or "tile=" in url)
    settled(page)
    assert len(before) > 4
    assert looks(figure) == before


def looks(figure) -> list[list[str]]:
    """Return how every mark and text of a figure looks, alike ones once: colours and opacities."""
    found = figure.locator(".points path, .point path, .point text, .textpoint text").evaluate_all(
        "marks => marks.map((mark) => { const style = getComputedStyle(mark); "
        "return [mark.tagName, style.opacity, style.fill, style.fillOpacity]; })"
    )
    return sorted(found)


def test_the_keyboard_gets_to_the_same_samples_and_to_those_of_another_implementation(opened):
    page = opened("/winner_map")
    page.get_by_role("textbox", name="T", exact=True).focus()
    page.keyboard.type("64")
    page.keyboard.press("Tab")
    page.wait_for_url(lambda url: "ask_t=64" in url)
    settled(page)
    if page.evaluate("document.activeElement.ariaLabel") != "H":  # a help sign stands between the boxes
        page.keyboard.press("Tab")
    page.keyboard.type("128")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "ask_h=128" in url)
    settled(page)
    samples_of(page, "64", "128")
    box(page, "Raw samples of").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "ask_case=" in url)
    settled(page)
    samples_of(page, "64", "128")


def test_downloaded_files_hold_what_compare_shows(opened):
    page = opened("/compare?modes=forward")
    csv = pd.read_csv(io.BytesIO(download(page, "CSV")))
    parquet = pd.read_parquet(io.BytesIO(download(page, "Parquet")))
    assert list(csv) == list(parquet)
    pd.testing.assert_series_equal(csv["value"], parquet["value"], check_exact=True)
    counts = page.get_by_text(re.compile(r"^\d+ cases?, ")).first.inner_text()
    assert counts.startswith(f"{len(csv)} cases, ")
    for outcome, number in csv["outcome"].value_counts().items():
        assert f"{number} {outcome_text(str(outcome), 'time')}" in counts
    points = page.locator(".st-key-forest .scatterlayer .points path").count()
    assert points >= csv["value"].notna().sum()


def test_downloaded_files_of_coverage_are_the_measurements_of_the_store(opened, browsed_store):
    page = opened("/coverage")
    csv = pd.read_csv(io.BytesIO(download(page, "CSV")))
    parquet = pd.read_parquet(io.BytesIO(download(page, "Parquet")))
    assert list(csv["case_id"]) == list(parquet["case_id"])
    measured = gatebench.load(browsed_store).measurements.set_index(["run_id", "case_id"])
    shown = parquet.set_index(["run_id", "case_id"])
    assert len(shown) > 50
    expected = measured.loc[shown.index]
    for column in ("status", "reason", "time_ns", "error_ratio"):
        pd.testing.assert_series_equal(shown[column], expected[column], check_dtype=False)


def download(page: Page, name: str) -> bytes:
    """Press a download button and return the file."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=name, exact=True).first.click()
    return waiting.value.path().read_bytes()
