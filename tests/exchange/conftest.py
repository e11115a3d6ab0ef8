"""How the property tests of the pure core run."""

from hypothesis import settings

# A busy machine is slow, not wrong: pytest's own timeout bounds each test.
settings.register_profile("exchange", deadline=None)
settings.load_profile("exchange")
