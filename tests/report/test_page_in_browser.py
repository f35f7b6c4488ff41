"""Pages of ``idn-gym report`` in Chromium: nothing is asked of a network, nothing complains, and clicks work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Browser
from page_records import hostile, run, swept

from idn_gym.report.page.html import page_of

pytest.importorskip("plotly")
pytest.importorskip("jinja2")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path: apt-get install chromium"),
]

DRAWN = "[...document.querySelectorAll('.views')].every((one) => one.childElementCount)"
WIDTHS = {1280: 900, 390: 844}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind of record, by name."""
    folder = tmp_path_factory.mktemp("pages")
    records = {
        "run": [run(folder / "tiny", agents=("random", "infida", "repository-only"))],
        "hostile": [hostile(folder / "wicked")],
        "sweep": [swept(folder / "grid")],
    }
    records["compared"] = [*records["run"], *records["sweep"]]
    records["two runs"] = [*records["run"], run(folder / "other", seed=1)]
    figure = {"figure": "fig9", "title": "Nine", "slots": 5, "seeds": [0, 1], "streams": 4, "runs": 8}
    check = {"claim": "<b>claim</b>", "source": "paper", "outcome": "holds", "evidence": "1 ms"}
    for name in ("fig8", "fig9"):
        shutil.copytree(folder / "grid", folder / "figures" / name)
        (folder / "figures" / f"{name}.json").write_text(json.dumps({**figure, "figure": name, "checks": [check]}))
    records["figures"] = [folder / "figures"]
    written = {name: folder / f"{name}.html" for name in records}
    for name, path in written.items():
        path.write_text(page_of(records[name]), encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


def scroll_through(browser: Browser) -> None:
    """Parts are drawn when they come near: bring each there."""
    for n in range(browser.run("document.querySelectorAll('.views').length")):
        browser.run(f"document.querySelectorAll('.views')[{n}].scrollIntoView()")
        browser.wait(f"document.querySelectorAll('.views')[{n}].childElementCount")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["run", "hostile", "sweep", "compared", "two runs", "figures"])
def test_it_is_quiet_and_fits(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    """No complaint, no request but for the page, no name that runs, and nothing wider than the window."""
    browser.show(pages[name], width, WIDTHS[width])
    scroll_through(browser)
    assert browser.run("document.querySelectorAll('.js-plotly-plot, svg.network').length") > 0
    assert browser.run("document.documentElement.scrollWidth") == width
    assert browser.run("typeof window.hacked") == "undefined"
    assert browser.run("document.querySelectorAll('img[src=x], svg[onload]').length") == 0
    assert browser.complaints == []
    assert browser.requests == [pages[name].as_uri()]


def test_a_foreign_script_does_not_run(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """Should anything get past the escaping, the page's policy stops it: this test puts a script there itself."""
    page = pages["run"].read_text(encoding="utf-8").replace("<main>", "<main><script>window.hacked=1</script>", 1)
    (tmp_path / "foreign.html").write_text(page, encoding="utf-8")
    browser.show(tmp_path / "foreign.html")
    assert browser.run("typeof window.hacked") == "undefined"
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


def test_tables_sort(browser: Browser, pages: dict[str, Path]) -> None:
    """By a click: figures the largest first, then the other way; text in its order. What sorts says so."""
    browser.show(pages["run"])
    column = "[...document.querySelector('table').tBodies[0].rows].map((row) => row.cells[{}].textContent)"
    header = "document.querySelector('table').tHead.rows[0].cells[{}]"
    names = browser.run("[...document.querySelector('table').tHead.rows[0].cells].map((cell) => cell.textContent)")
    n = names.index("latency ms")
    for order, reverse in (("descending", True), ("ascending", False)):
        browser.run(header.format(n) + ".firstElementChild.click()")
        latencies = [float(text) for text in browser.run(column.format(n))]
        assert latencies == sorted(latencies, reverse=reverse)
        assert len(set(latencies)) > 1
        assert browser.run(header.format(n) + ".getAttribute('aria-sort')") == order
    browser.run(header.format(0) + ".firstElementChild.click()")
    assert browser.run(column.format(0)) == ["infida", "random", "repository-only"]
    assert browser.run(header.format(n) + ".getAttribute('aria-sort')") == "none"


def test_one_choice_of_agents_for_everything(browser: Browser, pages: dict[str, Path]) -> None:
    browser.show(pages["run"])
    browser.wait(DRAWN)
    names = (
        "[...new Set([...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) => plot.data"
        ".flatMap((trace) => [trace.name, ...(trace.customdata ?? [])])).flat()"
        ".map((name) => String(name).split('<')[0]))]"
    )
    rows = "[...document.querySelectorAll('tbody tr:not([hidden])')].map((row) => row.cells[0].textContent)"
    options = (
        "[...document.querySelectorAll('.view select')].flatMap((list) => [...list.options]).map((one) => one.text)"
    )
    assert "random" in browser.run(names)
    assert "random" in browser.run(rows)
    assert "random" in browser.run(options)
    browser.run("[...document.querySelectorAll('label')].find((box) => box.textContent === 'random').click()")
    for shown in (names, rows, options):
        assert "random" not in browser.run(shown)
        assert "infida" in browser.run(shown)
    assert browser.run("document.getElementById('count').textContent") == "2 of 3"
    browser.run("document.getElementById('none').click()")
    assert browser.run(rows) == []
    browser.run("document.getElementById('all').click()")
    assert "random" in browser.run(names)
    assert browser.complaints == []


def test_the_slider_shows_other_slots(browser: Browser, pages: dict[str, Path]) -> None:
    """By the keyboard; what is listed below is what is held then."""
    browser.show(pages["run"])
    browser.wait("document.querySelector('svg.network')")
    browser.run("document.querySelector('svg.network').scrollIntoView()")
    whose = "document.querySelectorAll('.view select')[document.querySelectorAll('.view select').length - 1]"
    browser.run(f"{whose}.value = 'infida', {whose}.dispatchEvent(new Event('change'))")
    picture = "document.querySelector('svg.network').outerHTML"
    slot = "document.querySelector('input[type=range]').getAttribute('aria-valuetext')"
    last = browser.run(picture)
    assert browser.run(slot) == "slot 6 of 6"
    browser.run("document.querySelector('input[type=range]').focus()")
    browser.key("Home", 36)
    assert browser.run(slot) == "slot 1 of 6"
    assert browser.run(picture) != last
    browser.key("End", 35)
    assert browser.run(picture) == last
    node = "document.querySelectorAll('svg.network [role=button]')[{}]"
    count = browser.run("document.querySelectorAll('svg.network [role=button]').length")
    browser.run(node.format(count - 1) + ".focus()")
    browser.key("Enter", 13)
    name = browser.run(node.format(count - 1) + ".getAttribute('aria-label')").split(":")[0]
    assert browser.run("document.querySelector('.node strong').textContent") == name
    assert browser.run(node.format(count - 1) + ".getAttribute('aria-pressed')") == "true"


def test_a_setting_is_chosen(browser: Browser, pages: dict[str, Path]) -> None:
    """The plots below show the setting of the lists, those of the whole sweep all of them."""
    browser.show(pages["sweep"])
    browser.wait(DRAWN)
    costs = (
        "JSON.stringify([...document.querySelectorAll('.js-plotly-plot')].map((plot) => plot.data.map((one) => one.x)))"
    )
    before = browser.run(costs)
    browser.run(
        "{ const list = document.querySelector('.settings select'); list.value = '1';"
        " list.dispatchEvent(new Event('change')); }"
    )
    assert browser.run(costs) != before
    assert browser.run(
        "document.querySelector('.js-plotly-plot').data.filter((one) => one.name).map((one) => one.x)"
    ) == [
        [1.0, 4.0],
        [1.0, 4.0],
    ]


def test_it_prints(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """All parts, though none but the first has been seen."""
    browser.show(pages["figures"])
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert browser.run(DRAWN)
    assert browser.complaints == []


def test_it_stays_in_order(browser: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """After printing, and in a window of another width, plots are as high as before and as wide as their place."""
    browser.show(pages["run"])
    browser.wait(DRAWN)
    sizes = "[...document.querySelectorAll('.js-plotly-plot')].map((plot) => [plot.clientWidth, plot.clientHeight])"
    drawn = "[...document.querySelectorAll('.js-plotly-plot')].map((plot) => plot._fullLayout.width)"
    before = browser.run(sizes)
    assert browser.run(drawn) == [width for width, _ in before]
    browser.pdf(tmp_path / "page.pdf")
    assert browser.run(sizes) == before
    assert browser.run(drawn) == [width for width, _ in before]
    browser.call("Emulation.setDeviceMetricsOverride", width=800, height=900, deviceScaleFactor=1, mobile=False)
    browser.wait(f"{drawn}.every((width) => width < 800)")
    after = browser.run(sizes)
    assert [height for _, height in after] == [height for _, height in before]
    assert browser.run(drawn) == [width for width, _ in after]
