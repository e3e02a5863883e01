"""Fuzzing: `python -m tests.fuzz run` and `python -m tests.fuzz flips`; see docs/fuzzing.md."""
