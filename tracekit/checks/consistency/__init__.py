"""Consistency of what clients observed: linearizability and the models below it."""
