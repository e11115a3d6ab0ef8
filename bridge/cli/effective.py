"""The service's settings as they take effect, and where each comes from."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.cli.errors import CliError
from bridge.cli.target import Target

if TYPE_CHECKING:
    from bridge.settings import Settings


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting."""

    name: str
    value: str | None
    source: str
    description: str


def load(target: Target, *, host: str | None = None, port: int | None = None) -> "Settings":
    """The settings, with a command's own options before the environment.

    Raises CliError, naming the variable, when a value is not valid.
    """
    from pydantic import ValidationError

    from bridge.settings import Settings

    options = {"data": target.data_option, "host": host, "port": port}
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        prefix = Settings.model_config.get("env_prefix", "")
        reasons = (
            f"{prefix}{'_'.join(str(part) for part in found['loc']).upper()}: {found['msg']}"
            if found["loc"]
            else found["msg"]
            for found in error.errors()
        )
        raise CliError(f"invalid settings: {'; '.join(reasons)}") from error


def effective(target: Target) -> list[Effective]:
    """Every setting of the service, then those of its clients."""
    from bridge.settings import Settings

    settings = load(target)
    prefix = str(Settings.model_config.get("env_prefix", ""))
    present = {name.upper() for name in os.environ}
    found: list[Effective] = []
    for name, field in Settings.model_fields.items():
        variable = f"{prefix}{name}".upper()
        source = f"environment {variable}" if variable in present else "default"
        if name == "data":
            source = target.data().source
        found.append(Effective(variable, _shown(name, getattr(settings, name)), source, field.description or ""))
    url = target.url()
    key = target.key()
    found.append(Effective(f"{prefix}URL", url.value, url.source, "the service that commands ask"))
    hidden = None if key.value is None else "(set)"
    found.append(Effective(f"{prefix}API_KEY", hidden, key.source, "the key that commands use"))
    return found


def _shown(name: str, value: object) -> str | None:
    """A setting as it may be shown: of a URL, which may hold a key or a password, only where it leads."""
    from pydantic import SecretStr

    from bridge.chain.wire import without_secrets

    if value is None:
        return None
    if isinstance(value, SecretStr):
        return without_secrets(value.get_secret_value())
    return without_secrets(str(value)) if name == "rpc_url" else str(value)
