"""The business of a points exchange, in pure Python.

What lives here: amounts, ratios, earning, terms, pricing, the words that the chain is given, lots, the
split of one swap over accounts, the ledger's rules and an operation's life. What does not: no input or
output, no clock, no randomness, no framework, and nothing from `bridge`. A function here gets all that it
needs as arguments and answers the same every time.
"""
