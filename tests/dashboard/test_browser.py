"""The dashboard in a real browser: every page opens in wide and narrow windows, light and dark, and asks no other host."""

import pytest
from browsing import PAGES, choose, opening, server, settled
from playwright.sync_api import Page, expect

# The keys of figures that a page has for the store of these tests; it may have more.
FIGURES = {
    "/compare": ("forest", "trade_off"),
    "/scaling": ("scaling",),
    "/winner_map": ("winner_map",),
    "/stability": ("norms", "summary", "saturation"),
    "/coverage": ("coverage", "errors"),
    "/history": ("history", "history_grid"),
}
NARROW = 400
DARK = 3 * 128  # sum of red, green and blue below which a colour is dark
EVERY = pytest.mark.parametrize("path", PAGES, ids=[path.strip("/") or "overview" for path in PAGES])


def figures_drawn(page: Page, path: str) -> None:
    """Check that the page's own figures are there, and that every figure holds marks, not an empty frame."""
    for key in FIGURES.get(path, ()):
        expect(page.locator(f".st-key-{key} .js-plotly-plot .main-svg").first).to_be_visible()
    marks = ".trace, .points path, .point, .hm image, .shapelayer path, .annotation"
    bare = page.locator(".js-plotly-plot").evaluate_all(
        "(plots, marks) => plots.filter((plot) => !plot.querySelector(marks)).map((plot) => plot.closest('[class*=st-key-]').className)",
        marks,
    )
    assert bare == []


def room_from_the_start(page: Page) -> None:
    """Check that plotly.js found no figure's margin too small: it would have drawn it twice."""
    widened = page.locator(".js-plotly-plot").evaluate_all(
        """plots => plots.flatMap((plot) => ['l', 'b'].filter(
            (side) => plot._fullLayout._size[side] > plot._fullLayout.margin[side] + 0.5
        ).map((side) => [plot.closest('[class*=st-key-]').className, side, plot._fullLayout._size[side]]))"""
    )
    assert widened == []


def fits(page: Page, width: int) -> None:
    """Check that the page does not scroll sideways, and that no heading and no text of a figure is cut off."""
    page.set_viewport_size({"width": width, "height": 900})
    settled(page)
    page.wait_for_function(  # figures follow a new width a moment later
        "() => [...document.querySelectorAll('.js-plotly-plot')].every((plot) => "
        "Math.abs(plot.querySelector('.main-svg').clientWidth - plot.parentElement.clientWidth) < 2)"
    )
    page.wait_for_function(  # and so do tables
        "width => document.documentElement.scrollWidth <= width"
        " && (main => main.scrollWidth <= main.clientWidth)(document.querySelector('[data-testid=stMain]'))",
        arg=width,
    )
    assert cut_off(page, "h1, h2, h3, [data-testid=stMetricLabel] p, [data-testid=stMetricValue] div") == []
    assert outside(page) == []


def cut_off(page: Page, selector: str) -> list[str]:
    """Return the texts that do not fit into their boxes."""
    return page.locator(f"[data-testid=stMain] :is({selector})").evaluate_all(
        "found => found.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText)"
    )


def outside(page: Page) -> list[str]:
    """Return the texts that reach over their figure's edge."""
    return page.locator(".js-plotly-plot").evaluate_all(
        """plots => plots.flatMap((plot) => {
            const frame = plot.querySelector('.main-svg').getBoundingClientRect();
            return [...plot.querySelectorAll('.main-svg text')].filter((text) => {
                const box = text.getBoundingClientRect();
                return box.width > 0 && (box.left < frame.left - 2 || box.right > frame.right + 2);
            }).map((text) => `${plot.closest('[class*=st-key-]').className}: ${text.textContent}`);
        })"""
    )


def brightness(page: Page, selector: str, style: str) -> int:
    """Return the sum of red, green and blue of an element's colour."""
    colour = page.locator(selector).first.evaluate("(one, style) => getComputedStyle(one)[style]", style)
    return sum(int(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3])


@EVERY
def test_a_page_opens_with_its_figures_and_fits_wide_and_narrow_windows(browser, browsed, path):
    with opening(browser, browsed) as opened:
        page = opened(path)
        expect(page.locator("h1")).to_have_text(PAGES[path])
        figures_drawn(page, path)
        room_from_the_start(page)
        assert page.locator("[data-testid=stException]").count() == 0
        fits(page, 1000)
        fits(page, NARROW)


@EVERY
def test_a_page_opened_in_a_narrow_dark_window_shows_itself_not_its_filters(browser, browsed, path):
    with opening(browser, browsed, NARROW, color_scheme="dark") as opened:
        page = opened(path)
        expect(page.get_by_role("heading", name=PAGES[path], exact=True)).to_be_in_viewport()
        assert page.evaluate("document.elementFromPoint(200, 300).closest('[data-testid=stSidebar]')") is None
        assert brightness(page, "[data-testid=stApp]", "backgroundColor") < DARK
        assert brightness(page, "h1", "color") > DARK
        if path in FIGURES:
            assert brightness(page, ".js-plotly-plot .main-svg", "backgroundColor") <= DARK  # see-through counts as 0
            assert brightness(page, ".js-plotly-plot :is(.xtick, .ytick) text", "fill") > DARK


def test_a_page_without_figures_loads_ahead_what_draws_them(browser, browsed):
    with opening(browser, browsed) as opened:
        page = opened("/run")
        page.wait_for_function(
            "performance.getEntriesByType('resource').some(one => one.name.includes('/PlotlyChart.'))"
        )
        assert page.locator("[data-testid=stPlotlyChart]").count() == 0


def test_another_page_begins_at_its_top_and_a_filter_leaves_it_where_it_is(browser, browsed):
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"
    with opening(browser, browsed) as opened:
        page = opened("/scaling")
        figures_drawn(page, "/scaling")
        page.evaluate(f"{scrolled} = 300")
        choose(page, "Gate", "gru")
        assert page.evaluate(scrolled) > 200
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Overview", exact=True).click()
        expect(page.locator("h1")).to_have_text("Overview")
        settled(page)
        page.evaluate(f"{scrolled} = 2000")
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Stability", exact=True).click()
        expect(page.locator("h1")).to_have_text("Stability")
        page.wait_for_function(f"{scrolled} === 0")


def test_a_server_that_was_used_ends_without_a_word(browser, one_run, tmp_path):
    log = tmp_path / "log"
    with server(one_run, log) as (address, _), opening(browser, address) as open_page:
        open_page("/winner_map")
        before = log.read_text()
    assert "nanobind" not in before
    assert "ScriptRunContext" not in before  # of what is read before the first page
    assert log.read_text().removeprefix(before).strip() == "Stopping..."  # Streamlit's own
