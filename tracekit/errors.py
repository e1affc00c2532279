"""What went wrong, where, what was found, what was wanted, and what helps: the one exception that users see.

Codes: TK1xx reading and writing traces, TK2xx foreign formats and mappings, TK3xx arguments and names,
TK4xx simulation.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TracekitError(Exception):
    """A broken file or a wrong argument. A violated property is a value, never an exception.

    Parameters
    ----------
    code: ``TK`` and three digits, stable between releases.
    summary: one sentence without a full stop.
    at: the place: a file, ``file, line 4``, an option.
    found, want, help: what stood there, what may stand there, what to do next. Each may span lines.
    """

    def __init__(
        self,
        code: str,
        summary: str,
        *,
        at: str | None = None,
        found: str | None = None,
        want: str | None = None,
        help: str | None = None,
    ) -> None:
        super().__init__(summary)
        self.code = code
        self.summary = summary
        self.at = at
        self.found = found
        self.want = want
        self.help = help

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {self.summary}"]
        for label, text in (("at", self.at), ("found", self.found), ("want", self.want), ("help", self.help)):
            if text:
                first, *rest = text.splitlines()
                lines.append(f"  {label + ':':<6} {first}")
                lines.extend(" " * 9 + line for line in rest)
        return "\n".join(lines)


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The known names that come closest to a mistyped one, best first; parts of a name count as well."""
    candidates = sorted(known)
    close = difflib.get_close_matches(name, candidates, n=count, cutoff=0.5)
    inside = [k for k in candidates if name and (name in k or k.rpartition(".")[2] in name) and k not in close]
    return (close + inside)[:count]
