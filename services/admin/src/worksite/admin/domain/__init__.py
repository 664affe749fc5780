"""Decisions: pure functions of states and events; no bus, no clock, no randomness."""
