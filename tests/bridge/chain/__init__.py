"""Tests of the EVM side, most of them against a real anvil."""
