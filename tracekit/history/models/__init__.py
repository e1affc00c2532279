"""Sequential specifications: what an object would answer if operations came one at a time.

Two shapes. Guarded assignments to one value (register, cas-register, kv: `assignments`) are judged in columns. Any
other object is an initial state and a pure step function (`model`, `objects`, `user`). `actions_of` turns a history of
either into integers, and one search serves both.
"""

from tracekit.history.models.actions import ANY, COMPUTED, UNANSWERED, Actions, Calls, Space
from tracekit.history.models.assignments import APPEND, CAS, FUNCTIONS, READ, WRITE, assignments_of, functions_of
from tracekit.history.models.choice import MODELS, OPTIONS, Choice, choose, fitting_models, parse_model
from tracekit.history.models.model import UNKNOWN, Model, Refused, Specification
from tracekit.history.models.steps import States, calls_of
from tracekit.history.models.values import ABSENT, Record, Values
from tracekit.history.operations import Operations

__all__ = [
    "ABSENT", "ANY", "APPEND", "CAS", "COMPUTED", "FUNCTIONS", "MODELS", "OPTIONS", "READ", "UNANSWERED", "UNKNOWN",
    "WRITE", "Actions", "Calls", "Choice", "Model", "Record", "Refused", "Space", "Specification", "States", "Values",
    "actions_of", "choose", "fitting_models", "functions_of", "parse_model",
]  # fmt: skip


def actions_of(operations: Operations, choice: Choice) -> Actions:
    """What every operation does, under a model. O(m log m), and a loop over the distinct calls."""
    if choice.specification is not None:
        return calls_of(operations, choice.model, choice.specification)
    return assignments_of(operations, choice.model, fail_asserts=choice.fail_asserts, nil_any=choice.nil_any)
