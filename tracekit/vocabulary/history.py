"""What a store says about its own order of changes, beside the answers of a history."""

from __future__ import annotations

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field(
        "history.revision", Type.INT,
        "Completion of a client's operation: the place in the store's own order of changes that it answered with. Of a "
        "change: its own; of anything else: that of the last change before it (of the key, or of the whole store).",
    ),
)  # fmt: skip

VOCABULARY = Vocabulary(
    domain="history",
    summary="Histories: the order of changes as the store itself numbers it",
    fields=FIELDS,
    events={},
)
