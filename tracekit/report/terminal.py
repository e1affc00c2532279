"""A result as text for a terminal: about 35 lines unless something is wrong; every verdict with its evidence."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from tracekit.results import CheckResult, Edge, Result, Verdict, Violation

WIDTH = 100
LABEL = 14
NAME_WIDTH = 50
SHOWN_VIOLATIONS = 3
Style = Callable[[str, str], str]
"""Colours a text: ``style(text, "violated")``; the plain style returns the text."""


def plain(text: str, role: str) -> str:
    """No colours."""
    return text


def render(result: Result, style: Style = plain, verbose: bool = False) -> str:
    """The result as text, without the closing line of the command.

    Parameters
    ----------
    style: colours a text by its role: a verdict, ``dim`` or ``name``.
    verbose: one line a check, with its method and time; every listed violation.
    """
    blocks = [_head(result, style)]
    required = result.required
    wrong = [c for c in required if c.verdict is Verdict.VIOLATED]
    undecided = [c for c in required if c.verdict is Verdict.UNKNOWN]
    blocks += [_violated(c, style, SHOWN_VIOLATIONS if not verbose else len(c.violations)) for c in wrong]
    blocks += [_unknown(c, style) for c in undecided]
    if verbose:
        blocks.append("\n".join(_line(c, style) for c in result.checks))
        blocks.append(_measured(result, style, verbose))
    else:
        holds = [c for c in required if c.verdict is Verdict.HOLDS]
        if holds:
            blocks.append(_families(holds, style) if not wrong and not undecided else _holds_folded(required))
        blocks.append(_measured(result, style, verbose))
    blocks.append(_ladder(result))
    blocks.append(_foundations(result))
    return "\n\n".join(block for block in blocks if block)


def clean(text: str, lines: bool = False) -> str:
    """Text from a trace, safe for a terminal: control and format characters (escapes, bidi marks) stand as codes.

    lines: whether the text may span lines; else a line feed stands as its code as well, so that no name fakes a line.
    """
    return "".join(_visible(c) if c != "\n" or not lines else c for c in text)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    hidden = category[0] == "C" or category in ("Zl", "Zp")
    return character.encode("unicode_escape").decode() if hidden else character


def _labelled(label: str, lines: Iterable[str]) -> str:
    first, *rest = list(lines) or [""]
    out = [f"{label:<{LABEL}}{first}".rstrip()]
    out += [(" " * LABEL + line).rstrip() for line in rest]
    return "\n".join(out)


def _wrap(text: str, width: int = WIDTH - LABEL) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _head(result: Result, style: Style) -> str:
    trace = result.trace
    aside = f"{trace.events:,} events, {trace.set_aside:,} set aside"
    name = trace.path.rpartition("/")[2] or "trace"
    lines = [clean(f"{name}   {trace.title}").ljust(WIDTH - len(aside) - 2) + "  " + aside]
    for reason, count in trace.set_aside_counts.items():
        lines.append(clean(f"  set aside: {count:,} × {reason}{_first_place(result, reason)}"))
    verdict = result.verdict
    summary = _tally(result.required)
    lines += ["", f"{style(str(verdict).upper(), verdict)}{' ' * (LABEL - len(verdict))}{summary}"]
    return "\n".join(lines)


def _first_place(result: Result, reason: str) -> str:
    places = [str(s["place"]) for s in result.trace.set_aside_first if s["reason"] == reason]
    return f", first at {places[0]}" if places else ""


def _tally(required: Sequence[CheckResult]) -> str:
    verdicts = [c.verdict for c in required if c.verdict is not Verdict.NOT_APPLICABLE]
    if not verdicts:
        return "no required check examined anything, so nothing is decided"
    counts = {v: verdicts.count(v) for v in (Verdict.HOLDS, Verdict.VIOLATED, Verdict.UNKNOWN)}
    noun = "check" if len(verdicts) == 1 else "checks"
    return (
        f"{len(verdicts)} required {noun}: {counts[Verdict.HOLDS]} hold{'s' if counts[Verdict.HOLDS] == 1 else ''}, "
        f"{counts[Verdict.VIOLATED]} violated, {counts[Verdict.UNKNOWN]} unknown"
    )


def _examined(check: CheckResult) -> str:
    return ", ".join(counted(count, unit) for unit, count in check.examined.items())


def counted(count: int, unit: str) -> str:
    """``1,018 commits``, ``1 entry``: units are given in the plural."""
    if count == 1:
        unit = unit.removesuffix("ies") + "y" if unit.endswith("ies") else unit.removesuffix("s")
    return f"{count:,} {unit}"


def _families(checks: Sequence[CheckResult], style: Style) -> str:
    """Families with the names of their checks, those that examined the same things on one line."""
    lines: list[str] = []
    for family, members in groupby(checks, key=lambda c: c.check.partition(".")[0]):
        by_examined: dict[str, list[str]] = {}
        for member in members:
            by_examined.setdefault(_examined(member), []).append(member.check.partition(".")[2])
        label = f"  {family} "
        for examined, names in by_examined.items():
            rows = _wrap_names(names)
            for i, row in enumerate(rows):
                text = f"{label:<{LABEL + 1}}{row}"
                text = f"{text:<{LABEL + 1 + NAME_WIDTH}}" + (examined if i == len(rows) - 1 else "")
                lines.append(text.rstrip())
                label = ""
    return "\n".join(lines)


def _wrap_names(names: Sequence[str]) -> list[str]:
    rows: list[str] = []
    for name in names:
        if rows and len(rows[-1]) + 3 + len(name) < NAME_WIDTH:
            rows[-1] += f" · {name}"
        else:
            rows.append(name)
    return rows


def _holds_folded(required: Sequence[CheckResult]) -> str:
    parts = []
    for family, group in groupby(required, key=lambda c: c.check.partition(".")[0]):
        members = [m for m in group if m.verdict is not Verdict.NOT_APPLICABLE]
        held = sum(m.verdict is Verdict.HOLDS for m in members)
        if held:
            parts.append(f"{family} {held} of {len(members)}")
    return _labelled("HOLDS", [" · ".join(parts)])


def _measured(result: Result, style: Style, verbose: bool) -> str:
    """What the other checks found; of those that are undecided why, in full where everything is asked for."""
    from tracekit.checks.consistency.ladder import RELATED

    facts = [(c.check.partition(".")[0], c.remark) for c in result.checks if c.remark]
    facts += _undecided(result.checks, verbose)
    for c in result.checks:
        if c.required or c.verdict in (Verdict.NOT_APPLICABLE, Verdict.UNKNOWN):
            continue
        family, _, name = c.check.partition(".")
        told = c.implied_by is not None or (c.verdict is Verdict.HOLDS and c.check in RELATED)
        if not c.remark and not told:
            count = counted(c.violations_total, "violations") if c.violations_total else ""
            facts.append((family, f"{name}: {c.verdict}, {count or _examined(c)}"))
    if not facts:
        return ""
    lines = [_labelled("MEASURED", ["facts beside the verdict, never a failure"])]
    before = ""
    families = list(dict.fromkeys(family for family, _ in facts))
    facts = sorted(dict.fromkeys(facts), key=lambda f: families.index(f[0]))  # several checks may say the same
    for family, fact in facts:
        first, *rest = _wrap(clean(fact), WIDTH - LABEL - 1)
        lines.append(f"  {family + ' ' if family != before else '':<{LABEL - 1}}{first}")
        lines += [" " * (LABEL + 3) + line for line in rest]
        before = family
    return "\n".join(lines)


def _undecided(checks: Sequence[CheckResult], verbose: bool) -> list[tuple[str, str]]:
    """Why measured checks are undecided: by family, those with one reason together."""
    why: dict[tuple[str, str], list[str]] = {}
    for c in checks:
        if not c.required and c.verdict is Verdict.UNKNOWN:
            family, _, name = c.check.partition(".")
            reason = "; ".join(c.reasons) or "its events occur, but nothing in them could be examined"
            why.setdefault((family, reason), []).append(name)
    return [
        (family, f"{', '.join(names)}: unknown: {reason if verbose else _shortened(reason)}")
        for (family, reason), names in why.items()
    ]


def _shortened(reason: str) -> str:
    """At most two lines of a reason; `-v` shows all of it."""
    return textwrap.shorten(reason, 2 * (WIDTH - LABEL) - 50, placeholder=" ...")


def _ladder(result: Result) -> str:
    """Where the history stands among consistency models, and which of them needed no run."""
    if not result.ladder:
        return ""
    implied = [c.check.partition(".")[2] for c in result.checks if c.implied_by]
    lines = _wrap(clean(result.ladder))
    lines += _wrap(f"implied, not run: {', '.join(implied)}") if implied else []
    return _labelled("LADDER", lines)


def _foundations(result: Result) -> str:
    blocks = []
    if result.broken_assumptions:
        blocks.append(_labelled("BROKEN", _wrap(clean("assumptions: " + "; ".join(result.broken_assumptions)))))
    blocks.append(
        _labelled(
            "RESTS ON",
            _wrap(clean(". ".join(_capital(p) for p in result.rests_on) + "."))
            if result.rests_on
            else ["nothing but the events themselves"],
        )
    )
    if result.not_checked:
        blocks.append(_labelled("NOT CHECKED", _wrap(clean("; ".join(result.not_checked)))))
    if result.again:
        blocks.append(_labelled("AGAIN", [clean(result.again)]))
    return "\n".join(blocks)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _violated(check: CheckResult, style: Style, shown: int) -> str:
    # "3 in 0 snapshots" would say nothing: what was not there is left out.
    there = ", ".join(counted(count, unit) for unit, count in check.examined.items() if count)
    count = f"{check.violations_total:,} in {there}" if there else f"{check.violations_total:,}"
    head = f"{style('VIOLATED', Verdict.VIOLATED)}      {style(check.check, 'name')}"
    lines = [f"{head}   {count}   {_reference(check)}".rstrip()]
    for violation in check.violations[:shown]:
        lines.append("")
        lines += ["  " + line for line in _wrap(clean(f"{violation.summary} [{violation.anomaly}]"), WIDTH - 2)]
        lines += _witness(violation, style)
        if violation.damage:
            lines += ["", *("  " + line for line in _wrap(clean(f"Damage: {violation.damage}"), WIDTH - 2))]
    hidden = check.violations_total - min(shown, len(check.violations))
    if hidden > 0:
        kinds = ", ".join(f"{name} {count:,}" for name, count in _anomalies(check).items())
        lines += ["", f"  and {hidden:,} more ({kinds} among those listed); -v shows the listed ones"]
    return "\n".join(lines)


def _anomalies(check: CheckResult) -> dict[str, int]:
    found: dict[str, int] = {}
    for violation in check.violations:
        found[violation.anomaly] = found.get(violation.anomaly, 0) + 1
    return found


def _reference(check: CheckResult) -> str:
    from tracekit.registry import checks

    known = checks().get(check.check)
    return textwrap.shorten(known.reference, 60, placeholder=" ...") if known else ""


def _witness(violation: Violation, style: Style) -> list[str]:
    """Events down the page, each tied to the one before by its reason; the last is where the rule broke."""
    if not violation.events:
        return []
    width = max(len(clean(e.event)) for e in violation.events) + 3
    edges = {(e.start, e.end): e for e in violation.edges}
    lines = [""]
    for i, event in enumerate(violation.events):
        if i:
            reason = _tie(violation, edges, i)
            if reason:
                lines.append(f"      {'|':<{width}}{style(clean(reason), 'dim')}")
        last = i == len(violation.events) - 1
        place = f"   ({event.source})" if event.source else ""
        text = clean(f"{event.text}{place}")
        body = textwrap.shorten(text, WIDTH, placeholder=" ...") if len(text) > WIDTH else text
        lines.append(
            f"    {style(clean(event.event), 'name')}{' ' * (width - len(clean(event.event)))}{body}"
            + ("     <- rule broken here" if last else "")
        )
    return lines


def _tie(violation: Violation, edges: dict[tuple[str, str], Edge], i: int) -> str:
    """Why this event stands below: the edge that ends in it, from the event just above where there is one."""
    here, above = violation.events[i].event, violation.events[i - 1].event
    if (above, here) in edges:
        return edges[above, here].reason
    into = [e for e in violation.edges if e.end == here]
    return f"{into[0].reason}, from {into[0].start}" if into else ""


def _unknown(check: CheckResult, style: Style) -> str:
    lines = [
        f"{style('UNKNOWN', Verdict.UNKNOWN)}       {style(clean(check.check), 'name')}   {_examined(check)}".rstrip()
    ]
    reasons = check.reasons or ("its events occur, but nothing in them could be examined",)
    for reason in reasons:
        first, *rest = _wrap(clean(reason), WIDTH - 7)
        lines += [f"  why: {first}", *(f"       {line}" for line in rest)]
    lines += [f"  try: {clean(what)}" for what in check.tried]
    return "\n".join(lines)


def _line(check: CheckResult, style: Style) -> str:
    role = "" if check.required else "  (measured)"
    verdict = str(check.verdict)
    if check.verdict is Verdict.NOT_APPLICABLE:
        verdict = "measured" if check.remark else "no events"
    label = style(verdict.upper(), check.verdict) + " " * (LABEL - len(verdict))
    text = f"{label}{clean(check.check):<34} {_examined(check)}{role}"
    method = f"\n{' ' * LABEL}{check.method}" if check.method else ""
    return f"{text}   {check.seconds:.3f} s{style(method, 'dim')}"
