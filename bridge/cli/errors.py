"""How the command line says that something went wrong: one line on stderr, and an exit code."""

from bridge.client import ProblemAnswer

FAILED = 1
CANNOT_TELL = 2
INTERRUPTED = 130


class CliError(Exception):
    """Raised when a command cannot be carried out; the message is the line that the user sees."""


def line(error: Exception) -> str:
    """The error as one line: what is wrong, and which value would be right where that is known."""
    text = " ".join(str(error).split())
    facts = [
        f"{name}: {value}"
        for name in ("field", "limit", "nearest")
        if (value := getattr(error, name, None)) is not None
    ]
    if facts:
        text += f" ({', '.join(facts)})"
    slug = getattr(error, "type", None)
    if isinstance(slug, str):
        text += f" [{slug}]"
    if isinstance(error, ProblemAnswer) and error.request_id:
        text += f" request {error.request_id}"
    return text
