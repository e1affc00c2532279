"""What the Recorder itself has to say about a process and its log."""

from __future__ import annotations

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

VOCABULARY = Vocabulary(
    domain="recorder",
    summary="What the Recorder says of itself, at the events of any system",
    fields=(
        Field(
            "recorder.torn",
            Type.BOOL,
            "At a restart: the log ended in a torn line, of an event whose recording had not returned.",
        ),
        Field(
            "recorder.context",
            Type.TEXT,
            "At a receive: why its send is not known: what the message carried as context (`none`: nothing).",
        ),
    ),
    events={},
)
