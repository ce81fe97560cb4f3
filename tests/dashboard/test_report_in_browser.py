"""The HTML report in a real browser, opened from a file: figures, choices, both themes, wide and narrow, nothing asked of a host."""

import pytest
from browsing import WAIT_MS
from playwright.sync_api import expect

from gatebench.report.html.document import run_report
from gatebench.report.html.page import html_page
from gatebench.store.read import find_run
from tests.synthetic import Plan, write_store

HEADINGS = ["Summary", "Compare", "Trade-off", "Scaling", "Winner map", "Stability", "Coverage", "Environment"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a run of several shapes with a sweep, spectra and training, as a file."""
    folder = tmp_path_factory.mktemp("report")
    write_store(folder / "results", Plan(seq_lens=(64, 128), hidden_sizes=(64, 128), modes=("forward",), series=True))
    path = folder / "out.html"
    path.write_text(html_page(run_report(find_run(folder / "results", "latest"))), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, report):
    """Open the file in a window of some width and theme; nothing may be asked of a host, and no complaint may remain."""
    asked, said, contexts = [], [], []

    def open_file(width=1000, scheme="light", **more):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(report.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith((report.as_uri(), "data:", "blob:"))] == []
    assert said == []


def ready(page):
    page.wait_for_selector("html[data-ready]")
    expect(page.locator('.plot[data-drawn="failed"]')).to_have_count(0)
    return page


def shown_parts(page, section):
    return page.locator(f"#{section} > .part:not([hidden])")


@pytest.mark.parametrize(("width", "scheme"), [(1000, "light"), (400, "dark")])
def test_sections_and_figures_are_seen_at_every_width_and_in_both_themes(opened, width, scheme):
    page = ready(opened(width, scheme))
    assert page.locator("h2").all_inner_texts() == HEADINGS
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    plots = page.locator(".plot:visible")
    assert plots.count() >= 5
    assert page.locator(".plot:visible .main-svg").count() >= plots.count()
    colours = page.evaluate(
        "['rgb', getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('.plot .xtick text, .plot .ytick text')).fill]"
    )
    light = sum(map(int, colours[1].removeprefix("rgb(").rstrip(")").split(","))) > 3 * 128
    text = sum(map(int, colours[2].removeprefix("rgb(").rstrip(")").split(","))) > 3 * 128
    assert (light, text) == ((True, False) if scheme == "light" else (False, True))


def test_legends_do_not_lie_over_data(opened):
    page = ready(opened(400))
    overlaps = page.evaluate("""() => [...document.querySelectorAll('.plot[data-drawn=yes]')].filter((plot) => {
        const legend = plot.querySelector('.legend .bg');
        const bottom = legend && legend.getBoundingClientRect().bottom - plot.getBoundingClientRect().top;
        return legend && bottom > plot._fullLayout._size.t + 1;
    }).map((plot) => plot.ariaLabel)""")
    assert overlaps == []


def test_a_choice_shows_its_part_in_every_section_that_has_it(opened):
    page = ready(opened())
    gate = page.locator("#winner-map select").first
    first, second = gate.locator("option").all_inner_texts()[:2]
    expect(shown_parts(page, "winner-map")).to_have_count(1)
    expect(shown_parts(page, "winner-map").locator("h3").first).to_contain_text(first)
    gate.focus()
    page.keyboard.press("ArrowDown")
    expect(shown_parts(page, "winner-map").locator("h3").first).to_contain_text(second)
    assert page.evaluate("document.activeElement.tagName") == "SELECT"  # the keyboard stays where it was
    assert page.locator("#coverage select").first.input_value() == second
    ready(page)


def test_without_scripts_every_table_reads(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("h2").all_inner_texts() == HEADINGS
    page.locator("#winner-map summary").first.click()
    expect(page.locator("#winner-map table").first).to_be_visible()
    assert page.locator("#winner-map > .part").count() == page.locator("#winner-map > .part:visible").count() > 1


def test_a_browser_that_cannot_unpack_says_so_and_shows_the_numbers(opened):
    context = opened().context
    page = context.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(context.pages[0].url)
    page.wait_for_selector("html[data-ready]")
    expect(page.locator(".plot:visible").first).to_contain_text("This browser cannot draw the figure")
