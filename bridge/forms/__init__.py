"""How terms are written down: texts and shapes of the API's bodies, of files, and of what the ledger keeps.

Here a ratio is `3:1`, a share `15%`, money `SGD 27.25` and a day `2026-02-23`; in `exchange` all of them are whole
numbers. Forms check what they are given with the rules of `exchange` and say which field is at fault. Nothing here
prices, stores or proposes anything.
"""
