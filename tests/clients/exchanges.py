"""Owns what a failing test shows beside its assertion: the last requests that it sent and their answers."""

from __future__ import annotations

# Exchanges that are shown, and bytes of each body.
EXCHANGES_MAX = 4
BODY_BYTES_MAX = 2000

_exchanges: list[str] = []


def clear() -> None:
    """Forgets; called before each test."""
    _exchanges.clear()


def record(method: str, url: str, request_headers, request_body, status, headers, body) -> None:
    """Notes one exchange; secrets of the signature are no secrets here: the keys are the tests' own."""
    lines = [f"{method} {url}"]
    lines += [f"  {name}: {_text(value)}" for name, value in dict(request_headers or {}).items()]
    lines += [f"  {_text(request_body)}", f"-> {status}"]
    lines += [f"  {name}: {_text(value)}" for name, value in dict(headers or {}).items()]
    lines += [f"  {_text(body)}"]
    _exchanges.append("\n".join(lines))


def shown() -> str:
    """The last exchanges as text."""
    return "\n\n".join(_exchanges[-EXCHANGES_MAX:])


def _text(value) -> str:
    if value is None:
        return ""
    if not isinstance(value, (bytes, bytearray)):
        return str(value)[:BODY_BYTES_MAX]
    cut = bytes(value[:BODY_BYTES_MAX]).decode("utf-8", "replace")
    return cut if len(value) <= BODY_BYTES_MAX else f"{cut} … ({len(value)} bytes)"
