"""The `sarraf` command: one module for each group of commands, and nothing that decides anything.

Commands that ask the service do it over HTTP with `bridge.client`. What is heavy (the web framework, the
database, the chain's library) is imported inside the few commands that start or deploy something, so that all
others answer at once.
"""
