"""Ports of this machine."""

import socket

LOOPBACK = "127.0.0.1"
PORT_DEFAULT = 8080


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: what lingers of an earlier connection does not occupy the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def pick_port(asked: int | None) -> int:
    """The port asked for, else the usual one, else any free one (0)."""
    if asked is not None:
        return asked
    return PORT_DEFAULT if is_free(PORT_DEFAULT) else 0
