"""The page itself: data as inert JSON, style, scripts and Plotly in one file that asks nothing of any network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, overload

from tracekit.errors import TracekitError
from tracekit.execution import Execution
from tracekit.report.html.data import report_data
from tracekit.results import Result

SCRIPTS = ("dom.js", "order.js", "spacetime.js", "panels.js", "charts.js", "app.js")

Runs = Sequence[tuple[Result, Execution]]
PathLike = os.PathLike[str] | str


@overload
def write_report(result: Result, execution: Execution, path: PathLike, /) -> None: ...
@overload
def write_report(runs: Runs, path: PathLike, /) -> None: ...
def write_report(*arguments: Any) -> None:
    """Writes the page of one analysis, ``write_report(result, execution, path)``, or of several,
    ``write_report([(result, execution), ...], path)``.

    Raises
    ------
    TracekitError: TK109 where the file cannot be written.
    """
    *what, place = arguments
    text = render_report(*what)
    try:
        Path(place).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise TracekitError(
            "TK109",
            "the report cannot be written",
            at=str(place),
            found=error.strerror or str(error),
            help="--report takes the path of a file in a folder that exists and may be written to",
        ) from None


@overload
def render_report(result: Result, execution: Execution, /) -> str: ...
@overload
def render_report(runs: Runs, /) -> str: ...
def render_report(*arguments: Any) -> str:
    """The page as text: of one analysis, or of several between which it switches."""
    runs: Runs = arguments[0] if len(arguments) == 1 else [arguments]
    return render([report_data(r, e, 1 / len(runs)) for r, e in runs])


def render(runs: Sequence[dict[str, Any]]) -> str:
    """The page of data made by `report_data`."""
    import jinja2
    from markupsafe import Markup

    script = "\n".join(_static(name) for name in SCRIPTS)
    plotly, packed = _plotly()
    policy = (
        f"default-src 'none'; script-src {_hash(script)} {_hash(plotly)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    template = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined).from_string(
        _static("page.html")
    )
    return (
        template.render(
            policy=Markup(policy),
            style=Markup(_static("style.css")),
            script=Markup(script),
            plotly=Markup(packed),
            data=Markup(inert({"runs": list(runs)})),
        )
        + "\n"
    )


def inert(value: Any) -> str:
    """JSON that no HTML parser can take for markup: ASCII, without ``<``, ``>`` and ``&``.

    Text that is not valid Unicode (single surrogates) stays what it is, as an escape.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _static(name: str) -> str:
    return resources.files(__package__).joinpath("static", name).read_text(encoding="utf-8")


@cache
def _plotly() -> tuple[str, str]:
    """Plotly's script, and the same compressed: 2 MB instead of 4.8; the page inflates it when charts are drawn."""
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    return source, base64.b64encode(gzip.compress(source.encode(), 6, mtime=0)).decode()


def _hash(script: str) -> str:
    """The source expression of Content-Security-Policy that allows exactly this inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
