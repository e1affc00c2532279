"""In CI a skipped test is a failure, unless it needs recordings that are not part of the project; ``--examples N``."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

from tests.strategies import EXAMPLES


def pytest_addoption(parser: pytest.Parser) -> None:
    """The same comparisons as ever, with more examples: see docs/testing.md."""
    parser.addoption("--examples", type=int, help="examples of each comparison with an oracle, instead of the usual")


def pytest_configure(config: pytest.Config) -> None:
    """Test files read the number when they are imported."""
    wanted = config.getoption("--examples")
    if wanted is not None:
        os.environ[EXAMPLES] = str(wanted)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns a skip into a failure where everything that tests need was installed."""
    report = yield
    if (
        report.skipped
        and os.environ.get("TRACEKIT_CI")
        and "the recorded executions are not here" not in str(report.longrepr)
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
