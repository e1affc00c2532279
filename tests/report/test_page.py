"""The page in a real Chromium: what it shows, how it is used, and that nothing in a trace can do anything there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import Visit, chromium, visit
from tests.report.runs import HOSTILE, figure8, hostile, quiet, stale_read
from tracekit.errors import TracekitError
from tracekit.report.html import render_report, write_report

RUNS = {"figure8": figure8, "hostile": hostile, "quiet": quiet, "stale": stale_read}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    found = {}
    for name, run in RUNS.items():
        found[name] = folder / f"{name}.html"
        write_report(*run(), found[name])
    found["several"] = folder / "several.html"
    write_report([figure8(), quiet(), hostile()], found["several"])
    return found


@pytest.fixture
def open_page(browser: Any, files: dict[str, Path]) -> Iterator[Any]:
    """Opens a report by name; at the end nothing may have been requested, and no console message may have come."""
    opened: list[Any] = []

    def open_(name: str, **context: Any) -> Visit:
        manager = visit(browser, files[name], **context)
        seen = manager.__enter__()
        opened.append((manager, seen))
        return seen

    yield open_
    for manager, seen in opened:
        manager.__exit__(None, None, None)
        assert seen.requests == []
        assert seen.console == []


@pytest.mark.parametrize(("name", "scheme"), [*((name, "light") for name in RUNS), ("figure8", "dark")])
def test_page_opens_without_error_or_request(open_page: Any, name: str, scheme: str) -> None:
    seen = open_page(name, color_scheme=scheme)
    seen.charts_drawn()
    assert seen.page.locator("#strip .main-svg").count() > 0
    assert seen.page.locator("h1").count() == 1


def test_verdicts_are_those_of_the_result(open_page: Any) -> None:
    result, _ = figure8()
    seen = open_page("figure8")
    assert seen.text("h1") == "#\nVIOLATED" or seen.text("h1").replace("\n", "") == "#VIOLATED"
    assert seen.text(".tallies").split() == ["5", "hold", "1", "violated", "1", "unknown"]
    for label in ("holds", "absent"):
        seen.page.locator(f"[data-item='fold {label}']").click()
    for check in result.checks:
        item = seen.page.locator(f"[data-item='{check.check}']").first
        assert item.get_attribute("aria-label") == f"{check.check}: {check.verdict}"
        item.click()
        mark = seen.page.locator("#panel .check-head .mark")
        assert str(check.verdict) in (mark.get_attribute("class") or "").split()
        assert seen.text("#panel h2") == check.check


def test_names_of_checks_are_not_cut_where_their_family_can_be(open_page: Any) -> None:
    page = open_page("stale", viewport={"width": 1400, "height": 1000}).page
    page.locator("#checks").evaluate("node => { node.style.width = '255px'; }")  # as beside a scroll bar
    own = page.locator("#checks .item .own")
    assert own.count() > 0
    cut = own.evaluate_all("nodes => nodes.filter(n => n.scrollWidth > n.clientWidth + 1).map(n => n.innerText)")
    assert cut == []


def test_one_of_something_is_told_in_the_singular(open_page: Any) -> None:
    page = open_page("stale").page
    told = page.evaluate("() => [[1, 'keys'], [1, 'log entries'], [2, 'log entries']].map(([n, u]) => counted(n, u))")
    assert told == ["1 key", "1 log entry", "2 log entries"]


def test_unknown_shows_reasons_and_what_may_help(open_page: Any) -> None:
    result, _ = figure8()
    seen = open_page("figure8")
    seen.page.locator("[data-item='consistency.linearizable']").first.click()
    shown = seen.text("#panel")
    assert "UNKNOWN" in shown
    assert "no pass" in shown
    assert result.checks[1].reasons[0] in shown
    assert result.checks[1].tried[0] in shown


def test_violation_is_explained_with_its_witness(open_page: Any) -> None:
    result, _ = figure8()
    violation = result.checks[0].violations[0]
    seen = open_page("figure8")
    assert violation.summary in seen.text(".summary")
    assert violation.damage in seen.text(".damage")
    rows = seen.page.locator(".witness tbody tr:not(.edge)")
    assert [rows.nth(k).locator("td").first.inner_text() for k in range(rows.count())] == [
        e.event for e in violation.events
    ]
    assert "rule broken here" in rows.last.inner_text()
    assert seen.page.locator(".marks .event").count() == len(violation.events)
    assert seen.page.locator(".marks .event.broken").get_attribute("aria-label").startswith(violation.events[-1].event)
    assert seen.text(".tools .count") == "7 of 109 events: the witness"


def test_diagram_grows_and_goes_back(open_page: Any) -> None:
    page = open_page("figure8").page
    marks = page.locator(".marks .event")
    page.locator("[data-tool=past]").click()
    grown = marks.count()
    assert grown > 7
    page.locator("[data-tool=concurrent]").click()
    assert marks.count() > grown
    page.locator("[data-tool=all]").click()
    assert marks.count() == 109 - 2  # faults have no place in causal order
    page.keyboard.press("t")
    assert marks.count() == 109
    page.locator("[data-tool=less]").click()
    assert marks.count() == 7


def position(page: Any, name: str) -> tuple[float, float]:
    transform = page.locator(f".marks .event[aria-label^='{name}:']").get_attribute("transform")
    x, y = re.findall(r"-?[\d.]+", transform)
    return float(x), float(y)


def test_every_arrow_points_right_and_time_puts_events_where_they_happened(open_page: Any) -> None:
    _, execution = figure8()
    page = open_page("figure8").page
    page.locator("[data-tool=all]").click()
    trace = execution.trace
    names = {row: trace.event(row) for row in range(len(trace)) if trace.processes[trace.process[row]] != "nemesis"}
    places = {row: position(page, name) for row, name in names.items()}
    before = execution.happens_before.precedes
    for a in names:
        for b in names:
            if before(a, b):
                assert places[a][0] < places[b][0]
    page.keyboard.press("t")
    times = trace.get("true_time_ns")
    assert times is not None
    by_place = sorted(names, key=lambda row: position(page, names[row])[0])
    assert [times.at(row) for row in by_place] == sorted(times.at(row) for row in names)  # type: ignore[type-var]


def test_operations_are_intervals_in_real_time(open_page: Any) -> None:
    page = open_page("stale").page
    assert page.locator(".operations .operation").count() == 3
    places = [position(page, name)[0] for name in ("c1:0", "c1:1", "c1:2", "c1:3", "c2:0", "c2:1")]
    assert places == sorted(set(places))
    page.locator("[data-tool=all]").click()
    assert page.locator(".operations .operation").count() == 4
    assert page.locator(".operations .unanswered").count() == 1


def test_keys_move_between_violations_checks_and_events(open_page: Any) -> None:
    seen = open_page("figure8")
    page = seen.page
    assert seen.text(".position").startswith("1 of 3")
    page.keyboard.press("n")
    assert seen.text(".position").startswith("2 of 3")
    page.keyboard.press("p")
    page.keyboard.press("p")
    assert seen.text(".position").startswith("3 of 3")
    page.keyboard.press("j")
    assert seen.text("#panel h2") == "consistency.linearizable"
    page.keyboard.press("k")
    assert seen.text("#panel h2") == "raft.commit-current-term"
    page.locator(".marks .event.broken").focus()
    assert seen.text(".details h3").startswith("n1:")
    here = seen.text(".details .id")
    page.keyboard.press("ArrowLeft")
    assert seen.text(".details .id") != here
    page.keyboard.press("Enter")
    assert page.locator(".spacetime.choosing").count() == 1
    assert "before" in seen.text(".relations")
    page.keyboard.press("Escape")
    assert page.locator(".spacetime.choosing").count() == 0
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog").count() == 0


def test_selection_marks_causal_past_and_future(open_page: Any) -> None:
    _, execution = figure8()
    page = open_page("figure8").page
    page.locator("[data-tool=all]").click()
    trace = execution.trace
    row = int(execution.messages.receives[6])
    page.locator(f".marks .event[aria-label^='{trace.event(row)}:']").focus()
    page.keyboard.press("Enter")
    for kind, rows in (("past", execution.happens_before.past(row)), ("future", execution.happens_before.future(row))):
        labels = page.locator(f".marks .event.{kind}").evaluate_all(
            "nodes => nodes.map(n => n.getAttribute('aria-label'))"
        )
        assert sorted(":".join(label.split(":")[:2]) for label in labels) == sorted(trace.event(r) for r in rows)


def test_event_details_show_every_recorded_field(open_page: Any) -> None:
    result, execution = figure8()
    seen = open_page("figure8")
    row = execution.trace.find(result.checks[0].violations[0].events[0].event)
    assert row is not None
    seen.page.locator(".witness tbody tr").first.hover()
    shown = seen.text(".details")
    for name, value in execution.trace.fields(row).items():
        assert name in shown
        assert (json.dumps(value, separators=(",", ":")) if isinstance(value, list) else str(value)) in shown


def test_command_is_copied(open_page: Any) -> None:
    result, _ = figure8()
    page = open_page("figure8").page
    page.locator("button.copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == result.command
    page.evaluate("navigator.clipboard.writeText('')")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    page.locator("button.copy").click()
    page.evaluate("delete navigator.clipboard")
    assert page.evaluate("navigator.clipboard.readText()") == result.command


def test_theme_switches(open_page: Any) -> None:
    page = open_page("figure8", color_scheme="light").page
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(colour)
    page.locator("button.theme").click()
    assert page.evaluate(colour) != light
    page.locator("button.theme").click()
    assert page.evaluate(colour) == light


def test_why_opens_the_page_of_the_check(open_page: Any) -> None:
    seen = open_page("hostile")
    assert not seen.page.locator("#explain").evaluate("node => node.open")
    seen.page.get_by_role("button", name="why is this wrong?").click()
    assert seen.page.locator("#explain").evaluate("node => node.open")
    headings = seen.page.locator("#explain h3").all_inner_texts()
    assert [h.lower() for h in headings] == ["meaning", "example", "needs", "cannot see", "cost", "reference"]


def test_address_leads_back(browser: Any, files: dict[str, Path], open_page: Any) -> None:
    seen = open_page("figure8")
    seen.page.keyboard.press("n")
    address = seen.page.url
    assert address.endswith("/2")
    seen.page.reload()
    assert seen.text(".position").startswith("2 of 3")


def test_hostile_texts_are_shown_and_do_nothing(open_page: Any) -> None:
    seen = open_page("hostile")
    page = seen.page
    seen.charts_drawn()
    shown = page.locator("body").inner_text()
    for text in HOSTILE[:3]:
        assert text in shown
    assert "⟨U+202E⟩gnp.exe" in shown
    assert "a⟨U+2028⟩b⟨U+2029⟩c" in shown
    assert "49" not in shown.replace("x", "")
    for button in ("past", "concurrent", "all"):
        tool = page.locator(f"[data-tool={button}]")
        if tool.is_enabled():
            tool.click()
    for item in page.locator("#checks .item").all():
        item.click()
    page.get_by_role("button", name="2 set aside").click()
    assert HOSTILE[1] in seen.text("#panel")
    box = page.locator("#strip .chart").first.bounding_box()
    for k in range(1, 10):
        page.mouse.move(box["x"] + box["width"] * k / 10, box["y"] + box["height"] * 0.6)
    page.wait_for_selector("#strip .hoverlayer text")
    mark = page.locator("#strip .scatterlayer .point").first.bounding_box()
    page.mouse.move(mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2)
    page.wait_for_selector("#strip .hoverlayer text:has-text('clock.lamport at')")
    hovered = page.locator("#strip .hoverlayer text:has-text('clock.lamport at')").first.text_content()
    assert HOSTILE[1][:20] in hovered
    assert page.evaluate("inertText('<a href=x>&</a>')") == "&lt;a href=x&gt;&amp;&lt;/a&gt;"  # Plotly knows some tags
    assert page.evaluate("window.hit") is None
    assert page.locator("body img, body a:not(.skip), iframe, object, embed").count() == 0
    assert page.locator("body > script").count() == 3


def test_long_texts_do_not_widen_the_page(open_page: Any) -> None:
    for width in (1280, 900, 480):
        page = open_page("hostile", viewport={"width": width, "height": 800}).page
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_policy_forbids_what_the_page_does_not_need(files: dict[str, Path]) -> None:
    text = files["hostile"].read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy[1]
    assert "'unsafe-inline'" not in policy[1].split("style-src")[0]
    assert text.count("<script") == 3


def test_the_policy_holds_against_an_injected_script(browser: Any, files: dict[str, Path], tmp_path: Path) -> None:
    """The policy is no decoration: with markup forced into the page, nothing runs and nothing is fetched."""
    text = files["quiet"].read_text()
    attack = "<script>window.hit=1</script><img src='https://example.org/x' onerror='window.hit=2'>"
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("<header", attack + "<header"))
    with visit(browser, broken) as seen:
        seen.page.wait_for_selector("#checks .item")
        assert seen.page.evaluate("window.hit") is None
        assert seen.requests == []
        assert len(seen.console) >= 2


def test_a_part_of_a_trace_is_said_to_be_a_part(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "part.html"
    write_report(*quiet(1500), file)
    with visit(browser, file) as seen:
        assert "events 0 to 400 of 13,500" in seen.text("#panel")
        assert seen.page.locator(".marks .event").count() == 400
        assert seen.page.locator("[data-tool=all]").count() == 0
        assert "HOLDS" in seen.text("h1")


def test_several_recordings_are_switched(open_page: Any) -> None:
    seen = open_page("several")
    assert "VIOLATED" in seen.text("h1")
    seen.page.locator("select").select_option("1")
    assert "HOLDS" in seen.text("h1")
    seen.charts_drawn()
    seen.page.locator("select").select_option("2")
    assert "VIOLATED" in seen.text("h1")
    assert HOSTILE[0] in seen.text(".headline")


def test_page_prints(open_page: Any) -> None:
    seen = open_page("figure8")
    seen.page.emulate_media(media="print")
    assert seen.page.locator("button.copy").is_hidden()
    assert seen.page.locator("table.witness").is_visible()
    assert len(seen.page.pdf()) > 10_000


def test_landmarks_and_names(open_page: Any) -> None:
    page = open_page("figure8").page
    for role in ("banner", "navigation", "main"):
        assert page.get_by_role(role).count() == 1
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, [role=button], select')].filter(n => "
        "!(n.getAttribute('aria-label') || n.textContent || '').trim()).length"
    )
    assert nameless == 0


def test_a_report_that_cannot_be_written_is_an_error_with_help(tmp_path: Path) -> None:
    with pytest.raises(TracekitError, match="cannot be written") as raised:
        write_report(*quiet(1), tmp_path / "absent" / "x.html")
    assert raised.value.code == "TK109"


def test_rendering_is_deterministic() -> None:
    assert render_report(*figure8()) == render_report(*figure8())
