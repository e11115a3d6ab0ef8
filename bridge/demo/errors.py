"""What can go wrong in the demo that is not a refusal by the service."""


class DemoError(Exception):
    """Root of the demo's own errors; the message says what to do."""


class BadData(DemoError):
    """Raised when a data file is not what the demo can replay."""


class Stuck(DemoError):
    """Raised when the service stops making progress, or says that it stopped posting."""


class ForeignData(DemoError):
    """Raised when the data directory holds programs that this demo cannot go on with."""
