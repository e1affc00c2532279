"""Recorded logical clocks against program order and messages: ``clock.lamport`` and ``clock.vector``."""
