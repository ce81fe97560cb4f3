"""The dashboard in a real browser: every page opens, a filter reaches the URL, a reload shows the same view.

Debian's chromium through playwright; where it is missing these tests fail with the command that installs it.
"""

import pytest
from browsing import PAGES, choose, opening, query, server, settled
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def address(one_run, tmp_path_factory):
    with server(one_run, tmp_path_factory.mktemp("log") / "streamlit.log") as (found, _):
        yield found


@pytest.fixture(scope="module")
def full_address(full_run, tmp_path_factory):
    with server(full_run, tmp_path_factory.mktemp("log") / "streamlit.log") as (found, _):
        yield found


@pytest.fixture
def opened(browser, address):
    with opening(browser, address) as open_path:
        yield open_path


@pytest.fixture
def opened_full(browser, full_address):
    with opening(browser, full_address) as open_path:
        yield open_path


def test_every_page_opens_with_its_figures_and_asks_no_other_host(opened):
    for path, title in PAGES.items():
        page = opened(path)
        expect(page.locator("h1")).to_have_text(title)
        figures = {"/": 0, "/compare": 2, "/stability": 4, "/coverage": 2, "/history": 2, "/run": 0, "/gate": 0}.get(
            path, 1
        )
        expect(page.locator(".js-plotly-plot")).to_have_count(figures)
        assert page.get_by_text("Traceback").count() == 0


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
    expect(page.locator(".js-plotly-plot")).to_contain_text("H (hidden size)")


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


def test_a_run_with_sweep_spectra_and_training_shows_them_and_the_choice_is_kept(opened_full):
    page = opened_full("/stability?seq_len=64")
    page.set_viewport_size({"width": 1000, "height": 1400})  # an open list closes when the sidebar scrolls to it
    expect(page.locator(".js-plotly-plot")).to_have_count(5)
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


def test_every_case_of_the_stability_page_is_one_line(opened_full):
    page = opened_full("/stability?seq_len=64")
    heights = page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.clientHeight)")
    assert len(heights) > 10
    assert max(heights) < 1.5 * min(heights)
