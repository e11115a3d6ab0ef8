"""Tests of the contracts: in Solidity, run by forge; in Python, with the committed artifacts on a chain."""
