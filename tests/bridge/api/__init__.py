"""The HTTP API against a real service on a real (embedded) chain."""
