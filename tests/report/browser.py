"""A real Chromium for the tests of the page; they are skipped, with the reason, where none is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Visit:
    """A page, with everything that it said or asked for while it was open."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def charts_drawn(self) -> None:
        """Waits until the charts are there."""
        self.page.locator("#strip").scroll_into_view_if_needed()
        self.page.wait_for_selector("html[data-charts]", state="attached", timeout=60_000)
        assert self.page.locator("html").get_attribute("data-charts") == "drawn"

    def text(self, selector: str) -> str:
        """The text of the first element that the selector finds."""
        return str(self.page.locator(selector).first.inner_text())


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser is installed: none of {', '.join(NAMES)} is on the path")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@contextmanager
def visit(browser: Any, file: Path, **context: Any) -> Iterator[Visit]:
    """Opens a file as a user would; every console message, error and request but that for the file itself is noted."""
    session = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    session.grant_permissions(["clipboard-read", "clipboard-write"])
    page = session.new_page()
    seen = Visit(page)
    page.on("console", lambda message: seen.console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.console.append(f"error: {error}"))
    address = file.resolve().as_uri()

    def guard(route: Any) -> None:
        if route.request.url.partition("#")[0] == address:
            route.continue_()
        else:
            seen.requests.append(route.request.url)
            route.abort()

    session.route("**/*", guard)
    page.goto(address)
    yield seen
    session.close()
