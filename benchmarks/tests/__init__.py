"""Tests of the arithmetic and the rules that the benchmark's figures rest on."""
