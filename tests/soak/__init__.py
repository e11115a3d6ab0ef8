"""The soak: a real service on a real chain under load over HTTP, killed with -9 again and again, then counted.

What was accepted is known from the answers that the clients got, and what became of it from the chain alone. Here live
the town whose customers ask, the hand that kills, and the count at the end; the service itself is run by
`tests.end_to_end.running`.
"""
