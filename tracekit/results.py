"""What an analysis found: verdicts as values, each with the evidence that it rests on.

The JSON form is a contract, ``tracekit.result/1``; its schema ships as ``tracekit/result.schema.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """HOLDS says: this recorded run contains no violation. UNKNOWN is never a pass."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


EXIT_CODES: Mapping[Verdict, int] = {
    Verdict.HOLDS: 0,
    Verdict.VIOLATED: 1,
    Verdict.UNKNOWN: 3,
    Verdict.NOT_APPLICABLE: 3,
}


@dataclass(frozen=True)
class WitnessEvent:
    """One event of a witness: its public name, its source's place, and what it did, in a few words."""

    event: str
    text: str
    source: str | None = None


@dataclass(frozen=True)
class Edge:
    """Why one event of a witness comes before (or is tied to) another: ``message 207``, ``same process``."""

    start: str
    end: str
    reason: str


@dataclass(frozen=True)
class Violation:
    """One breach of a property.

    Attributes
    ----------
    anomaly: stable code: ``two-leaders-in-term``.
    summary: one sentence, or two, that an engineer understands without the witness.
    events: the few events that show it, in an order that respects happens-before; the last is where the rule broke.
    edges: ties between those events, each with its reason.
    facts: numbers and names behind the sentence; plain JSON values.
    damage: what came of it in this run, or may still come; empty where that was not determined.
    """

    anomaly: str
    summary: str
    events: tuple[WitnessEvent, ...] = ()
    edges: tuple[Edge, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ""


@dataclass(frozen=True)
class CheckResult:
    """What one check found. A check fills in what it found; the analysis adds name, seconds and whether it counts.

    Attributes
    ----------
    examined: how much of what was looked at, by unit: ``{"elections": 31}``.
    violations: the first few, root causes first; `violations_total` counts all.
    reasons: why the check cannot decide (a missing field is named, an exhausted budget told); empty: it decided.
    tried: what a user may do about a reason: ``--budget 10m``.
    applicable: whether any of the property's events occur.
    method: how it was decided: ``zones (unique values)``.
    certificate: short evidence for HOLDS where there is one (a linearization), plain JSON.
    facts: measurements for people, plain JSON values by name.
    remark: the measurements as one line.
    rests_on: what else the verdict supposes, one phrase each: ``model: kv (declared)``.
    broken_assumptions: assumptions of the protocol that this run was seen to break; beside the verdict, never instead.
    """

    examined: Mapping[str, int] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    violations_total: int = 0
    reasons: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    applicable: bool = True
    method: str = ""
    certificate: Any = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""
    rests_on: tuple[str, ...] = ()
    broken_assumptions: tuple[str, ...] = ()
    check: str = ""
    required: bool = False
    implied_by: str | None = None
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Derived, never set: a violation, else a reason for doubt, else nothing examined, else it holds."""
        if self.violations_total or self.violations:
            return Verdict.VIOLATED
        if self.reasons:
            return Verdict.UNKNOWN
        if self.implied_by is None and not any(self.examined.values()):
            return Verdict.UNKNOWN if self.applicable else Verdict.NOT_APPLICABLE
        return Verdict.HOLDS

    def to_json(self) -> dict[str, Any]:
        """The check's part of the JSON contract."""
        return {
            "check": self.check,
            "required": self.required,
            "verdict": str(self.verdict),
            "implied_by": self.implied_by,
            "examined": dict(self.examined),
            "method": self.method,
            "seconds": round(self.seconds, 6),
            "reasons": list(self.reasons),
            "tried": list(self.tried),
            "certificate": self.certificate,
            "facts": dict(self.facts),
            "remark": self.remark,
            "violations_total": self.violations_total or len(self.violations),
            "violations": [_violation(v) for v in self.violations],
        }


def _violation(violation: Violation) -> dict[str, Any]:
    return {
        "anomaly": violation.anomaly,
        "summary": violation.summary,
        "damage": violation.damage,
        "facts": dict(violation.facts),
        "events": [{"event": e.event, "source": e.source, "text": e.text} for e in violation.events],
        "edges": [{"from": e.start, "to": e.end, "reason": e.reason} for e in violation.edges],
    }


@dataclass(frozen=True)
class TraceSummary:
    """What the result says about the trace that it is about."""

    path: str
    digest: str
    events: int
    processes: tuple[str, ...]
    set_aside: int
    set_aside_counts: Mapping[str, int]
    set_aside_first: tuple[Mapping[str, Any], ...]
    title: str

    def to_json(self) -> dict[str, Any]:
        """The trace's part of the JSON contract."""
        return {
            "path": self.path,
            "digest": self.digest,
            "events": self.events,
            "processes": list(self.processes),
            "title": self.title,
            "set_aside": {
                "count": self.set_aside,
                "reasons": dict(self.set_aside_counts),
                "first": [dict(entry) for entry in self.set_aside_first],
            },
        }


@dataclass(frozen=True)
class Result:
    """The outcome of one analysis of one trace."""

    trace: TraceSummary
    checks: tuple[CheckResult, ...]
    rests_on: tuple[str, ...]
    not_checked: tuple[str, ...] = ()
    broken_assumptions: tuple[str, ...] = ()
    seconds: float = 0.0
    tool: str = ""
    command: str = ""
    again: str | None = None
    ladder: str = ""
    """The strongest consistency models that hold and the weakest that fail, in one line."""

    @property
    def required(self) -> tuple[CheckResult, ...]:
        """The checks that decide."""
        return tuple(c for c in self.checks if c.required)

    @property
    def verdict(self) -> Verdict:
        """Violated if one required check is; unknown if one is undecided or nothing was examined; else holds."""
        verdicts = [c.verdict for c in self.required]
        if Verdict.VIOLATED in verdicts:
            return Verdict.VIOLATED
        decided = [v for v in verdicts if v is not Verdict.NOT_APPLICABLE]
        if not decided or Verdict.UNKNOWN in decided:
            return Verdict.UNKNOWN
        return Verdict.HOLDS

    @property
    def exit_code(self) -> int:
        """0 all required checks hold, 1 one is violated, 3 none violated and one undecided, or nothing examined."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """The result as the JSON contract ``tracekit.result/1``."""
        return {
            "schema": "tracekit.result/1",
            "tool": self.tool,
            "command": self.command,
            "verdict": str(self.verdict),
            "seconds": round(self.seconds, 6),
            "trace": self.trace.to_json(),
            "rests_on": list(self.rests_on),
            "not_checked": list(self.not_checked),
            "broken_assumptions": list(self.broken_assumptions),
            "again": self.again,
            "ladder": self.ladder,
            "checks": [c.to_json() for c in self.checks],
        }
