"""Instruction counts of the hot path: exact enough to fail a check, on any machine, under any load."""
