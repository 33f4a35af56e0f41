"""The report: one page that opens offline, shows any text as text, and is readable by anybody."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from o_brien_s_flights_b import schemas, tasks, transforms
from test_quality import count

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src="http://example.com/x.png" onerror="alert(2)">',
    "</style></title></table><script>alert(3)</script>",
    "'><a href='javascript:alert(4)'>&lt;b&gt; &amp;",
    "<svg onload=alert(5)>",
    "{{ 7*7 }} {% raw %} ${1} `",
    "x" * 300,
    "رحلات \u202eabc 🛫",
]
TAGS = {"html", "meta", "title", "style", "main", "h1", "h2", "p", "time", "section"}
TAGS |= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "type", "id", "class"}
ATTRIBUTES |= {"datetime", "aria-label", "tabindex"}
WIDTHS, SCHEMES = (390, 1280), ("light", "dark")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
NO_CHROMIUM = f"the report is to be opened in Chromium; install one of {', '.join(CHROMIUM)}"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
# Each colour that text has, with each one behind it: that of the page, and that of a bar.
COLOURS = """() => {
    const pairs = new Set(), canvas = getComputedStyle(document.querySelector("tbody th"))
    for (const each of document.querySelectorAll("body *")) {
        if (![...each.childNodes].some(node => node.nodeType == 3 && node.data.trim())) continue
        const style = getComputedStyle(each)
        const bars = style.backgroundImage.match(/rgb\\([^)]*\\)/g) ?? []
        for (const behind of [canvas.backgroundColor, ...bars]) pairs.add(style.color + behind)
    }
    return [...pairs]
}"""
SIZES = """() => [...document.querySelectorAll("body, body *")].map(
    each => parseFloat(getComputedStyle(each).fontSize))"""

ENDS = """() => [...document.querySelectorAll("#T_Code .col_heading")].map(
    each => each.getBoundingClientRect().right)"""


class Page(HTMLParser):
    """What a browser makes of a page: its elements in order, and the text of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data

    def all(self, tag: str) -> list[str]:
        found = zip(self.elements, self.texts, strict=True)
        return [text.strip() for (name, _), text in found if name == tag]

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]


def airport(code: str = "IAH", name: str | None = "Bush", **more: Any) -> dict[str, Any]:
    place = {"lat": 29.98, "lon": -95.34}
    measured = {"flights": 12345, "mean_delay": -5.04, "on_time": 0.876, "score": 45.04}
    return {"dest": code, "name": name} | place | measured | more


def airports(number: int, names: list[str]) -> list[dict[str, Any]]:
    return [
        airport(f"{n:03d}", f"{names[n % len(names)]} {n}", score=100 - n * 100 / number)
        for n in range(number)
    ]


def made(rows: int = 1, text: str = "x") -> dict[str, Any]:
    """A manifest in which a text stands wherever one may."""
    raw = {"task": f"RawFlights{text}", "params": {}, "files": {f"day{text}.csv": "0f"}}
    scores = {"task": f"Scores{text}", "params": {f"min{text}": f"10{text}"}}
    return {
        "rows": rows,
        "lineage": {f"5a17{text}": scores, f"0ff1{text}": raw},
        "created": f"2026-11-22T21:00:59.123456+00:00{text.replace('x', '')}",
        "versions": {"python": "3.11.7", f"dask{text}": f"2026.8{text}"},
    }


@pytest.fixture
def page(frame: Callable[..., Any]) -> Callable[..., str]:
    """The page of some rows of scores and a manifest."""

    def make(rows: list[dict[str, Any]], manifest: dict[str, Any] | None = None) -> str:
        scores = frame(schemas.AIRPORT_SCORES, rows).compute()
        return transforms.score_page(scores, manifest or made(len(rows)))

    return make


def test_it_consists_of_text_and_tables_and_refers_to_nothing_else(page) -> None:
    text = page([airport()])
    read = Page(text)
    assert set(read.tags) <= TAGS
    assert {name for _, attributes in read.elements for name in attributes} <= ATTRIBUTES
    assert not re.search(r"//|url\(|@import", text)
    assert "default-src 'none'; style-src 'unsafe-inline'" in text  # the browser sees to it too


@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_the_data_says_stays_text(page, hostile: str) -> None:
    read = Page(page([airport(hostile, hostile)], made(1, hostile)))
    assert read.tags == Page(page([airport()])).tags
    assert hostile in read.all("th")
    assert hostile in read.all("td")
    assert f"5a17{hostile}" in read.all("th")
    cells = (f"Scores{hostile}", f"min{hostile}=10{hostile}", f"day{hostile}.csv")
    assert {*cells} <= {*read.all("td")}
    assert f"dask{hostile} 2026.8{hostile}" in "".join(read.texts)
    times = [attributes["datetime"] for tag, attributes in read.elements if tag == "time"]
    assert times == [made(1, hostile)["created"]]


def test_it_shows_each_airport_with_its_score(page) -> None:
    read = Page(page([airport(), airport("MIA", "Miami", score=0.0)]))
    assert read.all("h1") == ["Airport scores"]
    assert [text for text in read.all("th") if text in ("IAH", "MIA")] == ["IAH", "MIA"]
    row = ["Bush", "45.0", "87.6", "-5.0", "12,345", "Miami", "0.0", "87.6", "-5.0", "12,345"]
    assert read.all("td")[10:20] == row


@pytest.mark.parametrize(
    ("score", "band"), [(100, 0), (90, 0), (89.99, 1), (9.9, 9), (0, 9), (-1, 9), (101, 0)]
)
def test_its_chart_counts_each_score_once(page, score: float, band: int) -> None:
    counts = Page(page([airport(score=float(score))])).all("td")[:10]
    assert counts == ["1" if each == band else "0" for each in range(10)]


def test_a_bar_is_as_long_as_its_value(page) -> None:
    bars = re.findall(r"#T_(\w+)_row\d+_col\d+ .*?var\(--bar\) (\S+)%,", page([airport()]), re.S)
    assert bars == [("Scored", "100.0"), ("Code", "45.0")]


def test_it_says_where_it_is_from(page) -> None:
    read = Page(page([airport()]))
    text = " ".join("".join(read.texts).split())
    assert "1 rows, made 2026-11-22 21:00 UTC with python 3.11.7, daskx 2026.8x." in text
    assert ("time", {"datetime": "2026-11-22T21:00:59.123456+00:00"}) in read.elements
    assert {"5a17x", "0ff1x"} <= {*read.all("th")}
    assert read.all("td")[-4:] == ["Scoresx", "minx=10x", "RawFlightsx", "dayx.csv"]


def test_its_parts_have_names_and_are_reached_by_keyboard(page) -> None:
    read = Page(page([airport()]))
    assert read.elements[0] == ("html", {"lang": "en"})
    assert read.all("title") == ["Airport scores"]
    captions = read.all("caption")
    assert len(captions) == read.tags.count("table") == 3
    sections = [attributes for tag, attributes in read.elements if tag == "section"]
    assert sections == [{"aria-label": caption, "tabindex": "0"} for caption in captions]


def test_it_holds_a_thousand_airports(page) -> None:
    text = page(airports(1000, ["Somewhere"]))
    read = Page(text)
    assert [int(cell) for cell in read.all("td")[:10]] == [101, *[100] * 8, 99]
    assert [f"{n:03d}" for n in range(1000)] == [t for t in read.all("th") if re.match(r"\d+$", t)]
    assert len(text) < 1_000_000


@pytest.mark.parametrize("column", ["name", "lat", "lon", "score", "mean_delay", "on_time"])
def test_what_is_not_known_is_said_to_be_unknown(page, column: str) -> None:
    read = Page(page([airport("SJU", **{column: None}), airport()]))
    assert read.all("td").count("unknown") == (0 if column in ("lat", "lon") else 1)


def test_no_scores_give_a_page_too(page) -> None:
    read = Page(page([]))
    assert read.all("td")[:10] == ["0"] * 10
    assert len(read.all("caption")) == 3


def test_an_airport_that_was_listed_twice_is_shown_twice(page) -> None:
    assert Page(page([airport(), airport()])).all("th").count("IAH") == 2


def test_the_same_scores_give_the_same_bytes(page) -> None:
    rows = airports(20, HOSTILE)
    assert page(rows) == page(rows)


def test_its_code_has_at_most_60_lines(tmp_path: Path) -> None:
    """All of it: style, functions, task, and the imports that nothing else needs."""
    parts = [inspect.getsource(tasks.ScoreReport), "from luigi.format import UTF8\n"]
    source = inspect.getsource(transforms)
    names = []
    for node in ast.parse(source).body:
        name = getattr(node, "name", "") or ast.unparse(node).partition(" =")[0]
        if name in ("from html import escape", "STYLE", "score_page") or "score_page" in names:
            names.append(name)
            parts.append(ast.get_source_segment(source, node) or "")
    assert names == ["from html import escape", "STYLE", "score_page", "table"]
    (tmp_path / "report.py").write_text("\n".join(parts), encoding="utf-8")
    lines = count(tmp_path / "report.py")
    print(f"{lines} lines of code")
    assert lines <= 60


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Chromium without a window or a network, with a new profile."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.fail(NO_CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Opened:
    """A page as it stands in the browser, and whatever it did that it should not."""

    def __init__(self, chromium: Any, path: Path, width: int, scheme: str) -> None:
        size = {"width": width, "height": 844}
        self.context = chromium.new_context(viewport=size, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.faults: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append("dialog"), dialog.dismiss()))
        self.page.goto(path.as_uri())
        self.page.wait_for_load_state("networkidle")

    def corner(self) -> tuple[int, ...]:
        """The colour of the pixel in the corner: a PNG of one pixel, to which no filter matters."""
        picture = self.page.screenshot(clip={"x": 0, "y": 0, "width": 1, "height": 1})
        chunks = b""
        for found in re.finditer(b"IDAT", picture):
            size = int.from_bytes(picture[found.start() - 4 : found.start()])
            chunks += picture[found.end() : found.end() + size]
        return tuple(zlib.decompress(chunks)[1:4])


@pytest.fixture(params=["sample", "thousand", "hostile"])
def path(request: pytest.FixtureRequest, tmp_path: Path, page) -> Path:
    """The report as a run writes it, that of 1,000 airports, and one full of hostile texts."""
    if request.param == "sample":
        (report,) = request.getfixturevalue("finished").glob("data/ScoreReport-*.html")
        return Path(report)
    path = tmp_path / "report.html"
    if request.param == "thousand":
        text = page(airports(1000, ["General Edward Lawrence Logan Intl", "Ohare"]))
    else:
        rows = [airport(text, text) for text in HOSTILE]
        text = page(rows, made(len(rows), "".join(HOSTILE)))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def opened(chromium: Any, path: Path) -> Iterator[Callable[[int, str], Opened]]:
    contexts = []

    def open_it(width: int, scheme: str = "light") -> Opened:
        done = Opened(chromium, path, width, scheme)
        contexts.append(done.context)
        return done

    yield open_it
    for context in contexts:
        context.close()


def contrast(pair: str) -> float:
    """The ratio of WCAG between two colours, `rgb(...)rgb(...)`."""
    channels = [int(each) / 255 for each in re.findall(r"\d+", pair)]
    assert len(channels) == 6, pair  # none is transparent
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    lights = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear[:3], linear[3:])]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_browser_opens_it_without_errors_requests_or_scrolling_aside(
    opened, path: Path, width: int, scheme: str
) -> None:
    report = opened(width, scheme)
    assert report.faults == []
    assert report.requests == [path.as_uri()]
    assert report.page.evaluate("document.documentElement.scrollWidth") == width
    assert min(report.page.evaluate(SIZES)) >= 16
    ends = report.page.evaluate(ENDS)[: 3 if width == 390 else None]  # as far as the share on time
    assert max(ends) <= width


@pytest.mark.slow
def test_its_colours_follow_the_system_and_can_be_told_apart(opened) -> None:
    reports = {scheme: opened(390, scheme) for scheme in SCHEMES}
    assert min(reports["light"].corner()) > 200
    assert max(reports["dark"].corner()) < 60
    for report in reports.values():
        pairs = report.page.evaluate(COLOURS)
        assert len(pairs) == 2  # text on the page, text on a bar
        assert min(map(contrast, pairs)) >= 4.5, pairs


@pytest.mark.slow
def test_its_tables_are_reached_and_scrolled_by_keyboard(opened) -> None:
    page = opened(390).page
    labels = []
    for _ in range(3):
        page.keyboard.press("Tab")
        labels.append(page.evaluate("document.activeElement.ariaLabel"))
    assert labels == page.locator("caption").all_text_contents()
    airports = page.locator("section").nth(1)
    airports.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)  # it glides
    assert airports.evaluate("section => section.scrollLeft") > 0


@pytest.mark.slow
def test_a_screen_reader_is_told_what_heads_rows_and_columns(opened) -> None:
    report = opened(390)
    session = report.context.new_cdp_session(report.page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    roles: dict[str, list[str]] = {}
    for node in nodes:
        if not node["ignored"]:
            roles.setdefault(node["role"]["value"], []).append(node["name"]["value"])
    captions = report.page.locator("caption").all_text_contents()
    assert roles["region"] == roles["table"] == captions
    assert roles["columnheader"][2:8] == [
        *("Code", "Airport", "Score", "On time %", "Minutes late", "Flights")
    ]
    assert len(roles["rowheader"]) == report.page.locator("tbody tr").count()
    assert roles["heading"] == ["Airport scores", "Where this is from"]
    assert len(roles["main"]) == 1
