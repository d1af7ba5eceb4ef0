"""How deep a JSON text is nested: CPython's reader calls itself for each level, and in a component the
machine's stack ends before its own limit of recursion is reached, which would end the call by a trap."""

import itertools
import json
import re

from . import _host

# Levels that are read. Objects trap between 800 and 1,000 of them.
LEVELS_MAX = 500
ESCAPE = re.compile(r"\\.", re.DOTALL)
OTHERS = bytes(byte for byte in range(256) if byte not in b"[{]}")
# Steps down and up.
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


def levels(text):
    """The levels of a text up to its end, or up to where it is no JSON; 0 where they are surely not too many.
    All of it runs in C."""
    if len(text) <= LEVELS_MAX:
        return 0
    if "\\" in text:
        text = ESCAPE.sub("", text)
    # Without its strings, which are most of what there is.
    outside = "".join(text.split('"')[::2])
    if outside.count("[") + outside.count("{") <= LEVELS_MAX:
        return 0
    steps = outside.encode("ascii", "replace").translate(STEPS, OTHERS)
    return max(itertools.accumulate(memoryview(steps).cast("b"), initial=0))


def check(text):
    """Raises RecursionError, as CPython does elsewhere, when a text is nested too deep to be read."""
    if levels(text) > LEVELS_MAX:
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
