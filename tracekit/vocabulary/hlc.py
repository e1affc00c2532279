"""Hybrid logical clocks (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014), at the events of any system."""

from __future__ import annotations

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    domain="hlc",
    summary="Hybrid logical clocks, at the events of any system",
    fields=(
        Field(
            "hlc.physical_ns",
            Type.INT,
            "First half (l) of the timestamp after the event: the largest physical reading that it has heard of.",
            unit="ns",
        ),
        Field(
            "hlc.logical",
            Type.INT,
            "Second half (c): tells events with the same first half apart, from 0.",
        ),
    ),
    events={},
)
