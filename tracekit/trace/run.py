"""What a trace says about its run beside the events: the metadata entry ``tracekit.run``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from tracekit.errors import TracekitError


@dataclass(frozen=True)
class Run:
    """Declared facts about a run. Everything is optional; what is not declared is not assumed silently.

    Attributes
    ----------
    system, protocol, network: names for people; `protocol` is one of ``tracekit list protocols`` in our own runs.
    seed, command: what makes the run again.
    n, f: how many processes run the protocol; how many of them may be faulty.
    claims: globs of the checks that the run promises to pass; None: nothing was claimed (an empty list claims nothing).
    model: the sequential specification of the recorded operations, ``kv``.
    clocks: process -> clock domain (text), or ``{"skew_ns": bound}``.
    coverage: process -> ``{"start": bool, "end": bool}``: whether its first and last events were recorded.
    channels: ``{"reliable": bool, "fifo": bool}``, where declared.
    bounds: ``{"delay_ns": int, "skew_ns": int, ...}``, where declared.
    quiescent: whether the run was left alone until nothing moved; None: not said.
    broken_assumptions: what the recorder knows that the run broke of its protocol's assumptions.
    other: keys that this version does not know, kept as they came.
    """

    system: str | None = None
    protocol: str | None = None
    network: str | None = None
    seed: int | None = None
    command: str | None = None
    n: int | None = None
    f: int | None = None
    claims: tuple[str, ...] | None = None
    model: str | None = None
    clocks: Mapping[str, Any] = field(default_factory=dict)
    coverage: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    channels: Mapping[str, bool] = field(default_factory=dict)
    bounds: Mapping[str, int] = field(default_factory=dict)
    quiescent: bool | None = None
    broken_assumptions: tuple[str, ...] = ()
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | bytes, at: str) -> Run:
        """The metadata entry of a file.

        Raises
        ------
        TracekitError: TK107 where the entry is no JSON object or a known key has a wrong type.
        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise TracekitError(
                "TK107", "the metadata entry tracekit.run is not JSON", at=at, found=str(error)
            ) from None
        if not isinstance(raw, dict):
            raise TracekitError("TK107", "the metadata entry tracekit.run is not a JSON object", at=at)
        known: dict[str, Any] = {}
        for entry in fields(cls):
            if entry.name == "other" or raw.get(entry.name) is None:
                continue
            value = raw.pop(entry.name)
            wanted, name = _SHAPES[entry.name]
            if not wanted(value):
                raise TracekitError(
                    "TK107",
                    f"tracekit.run: {entry.name} has the wrong type",
                    at=at,
                    found=json.dumps(value)[:80],
                    want=name,
                )
            known[entry.name] = tuple(value) if isinstance(value, list) else value
        return cls(**known, other=raw)

    def to_json(self) -> str:
        """The entry as canonical JSON: sorted keys, nothing that was not declared."""
        out = dict(self.other)
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == "other" or value is None or (entry.name != "claims" and value in ({}, ())):
                continue
            out[entry.name] = list(value) if isinstance(value, tuple) else value
        return json.dumps(out, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _maps_to(kind: type) -> Any:
    return lambda value: (
        isinstance(value, dict)
        and all(isinstance(v, kind) and (kind is bool or not isinstance(v, bool)) for v in value.values())
    )


def _is_span(value: object) -> bool:
    """An integer that times can be compared with: they are within 2^62 ns as well."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62


def _are_bounds(value: object) -> bool:
    return isinstance(value, dict) and all(_is_span(v) for v in value.values())


def _are_clocks(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(v, str) or (isinstance(v, dict) and _is_span(v.get("skew_ns", 0))) for v in value.values()
    )


_TEXT = (lambda v: isinstance(v, str), "a string")
_INT = (_is_int, "an integer")
_TEXTS = (_is_texts, "a list of strings")
_SHAPES: dict[str, tuple[Any, str]] = {
    "system": _TEXT,
    "protocol": _TEXT,
    "network": _TEXT,
    "command": _TEXT,
    "model": _TEXT,
    "seed": _INT,
    "n": _INT,
    "f": _INT,
    "claims": _TEXTS,
    "broken_assumptions": _TEXTS,
    "clocks": (_are_clocks, 'a domain or {"skew_ns": integer below 2^62} by process'),
    "coverage": (
        lambda v: isinstance(v, dict) and all(_maps_to(bool)(w) for w in v.values()),
        'an object of {"start": bool, "end": bool} by process',
    ),
    "channels": (_maps_to(bool), "an object of booleans"),
    "bounds": (_are_bounds, "an object of integers between -2^62 and 2^62"),
    "quiescent": (lambda v: isinstance(v, bool), "a boolean"),
}
