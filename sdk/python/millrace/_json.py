"""How deep a JSON text is nested: CPython's reader calls itself for each level, and in a component the
machine's stack ends before its own limit of recursion is reached, which would end the call by a trap."""

import itertools
import json
import re

from . import _host

# Levels that are read. Objects trap between 800 and 1,000 of them.
LEVELS_MAX = 500
ESCAPE = re.compile(rb"\\.", re.DOTALL)
OTHERS = bytes(byte for byte in range(256) if byte not in b'"[{]}')
# Steps down and up.
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def levels(text):
    """The levels of a text up to its end, or up to where it is no JSON. All of it runs in C."""
    content = text.encode("utf-8", "surrogatepass")
    if b"\\" in content:
        content = ESCAPE.sub(b"", content)
    outside = b"".join(content.translate(STEPS, OTHERS).split(b'"')[::2])
    return max(itertools.accumulate(memoryview(outside).cast("b"), initial=0))


def check(text):
    """Raises RecursionError, as CPython does elsewhere, when a text is nested too deep to be read."""
    if text.count("[") + text.count("{") > LEVELS_MAX and levels(text) > LEVELS_MAX:
        raise RecursionError(f"JSON is nested deeper than {LEVELS_MAX} levels")


def install():
    """Has every reader of JSON check its text in a running component."""
    plain = json.JSONDecoder.decode

    def decode(self, s, *given, **named):
        if _host.inside() and isinstance(s, str):
            check(s)
        return plain(self, s, *given, **named)

    decode.__doc__ = plain.__doc__
    json.JSONDecoder.decode = decode
