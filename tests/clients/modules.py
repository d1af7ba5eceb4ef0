"""Makes other modules of the examples': one whose compilation takes a while, one that fails at its start."""

from __future__ import annotations

import itertools

# Ids of sections of a WebAssembly module.
TYPES, IMPORTS, FUNCTIONS, START, ELEMENTS, CODE, DATA_COUNT = 1, 2, 3, 8, 9, 10, 12
# Functions that are added to a slow module, and steps of each: some seconds of compilation on one core.
SLOW_FUNCTIONS, SLOW_STEPS = 2_000, 200
# What makes a slow module unlike those before: the server keeps what it has compiled.
SALTS = itertools.count(64)


def slow(module: bytes) -> bytes:
    """The same module with much more to compile, another one each time."""
    # local 0 = (local 0 * salt + 7) xor (local 0 >> 3), which no compiler makes shorter.
    step = b"\x20\0\x41" + number_of(next(SALTS)) + bytes([0x6C, 0x41, 7, 0x6A, 0x20, 0, 0x41, 3, 0x76, 0x73, 0x21, 0])
    body = bytes([1, 1, 0x7F]) + step * SLOW_STEPS + bytes([0x41, 0, 0x20, 0, 0x36, 2, 0, 0x0B])
    return with_functions(module, [body] * SLOW_FUNCTIONS, starts=False)


def failing(module: bytes) -> bytes:
    """The same module with a start that traps."""
    return with_functions(module, [bytes([0, 0x00, 0x0B])], starts=True)


def with_functions(module: bytes, bodies: list[bytes], starts: bool) -> bytes:
    """Adds functions without parameters and results; the first of them is the start, if one is wanted."""
    sections = list(read(module))
    imported = sum(1 for kind in imports(dict(sections).get(IMPORTS, b"\0")) if kind == 0)
    added_type, defined = count(dict(sections)[TYPES])[0], count(dict(sections)[FUNCTIONS])[0]
    more = {TYPES: [b"\x60\0\0"], FUNCTIONS: [number_of(added_type)] * len(bodies),
            CODE: [number_of(len(body)) + body for body in bodies]}
    parts = [(number, appended(content, more[number]) if number in more else content) for number, content in sections]
    if starts:
        at = next(index for index, (number, _) in enumerate(parts) if number in (ELEMENTS, DATA_COUNT, CODE))
        parts.insert(at, (START, number_of(imported + defined)))
    return module[:8] + b"".join(bytes([number]) + number_of(len(content)) + content for number, content in parts)


def read(module: bytes):
    """Number and content of each section."""
    at = 8
    while at < len(module):
        number = module[at]
        size, at = leb(module, at + 1)
        yield number, module[at:at + size]
        at += size


def imports(section: bytes):
    """The kind of each import: 0 is a function."""
    total, at = leb(section, 0)
    for _ in range(total):
        for _ in range(2):
            size, at = leb(section, at)
            at += size
        kind, at = section[at], at + 1
        yield kind
        if kind == 0:
            _, at = leb(section, at)
        elif kind == 3:
            at += 2
        else:
            at += kind == 1
            flags, at = leb(section, at)
            for _ in range(1 + (flags & 1)):
                _, at = leb(section, at)


def count(section: bytes) -> tuple[int, int]:
    """How many items a section has, and where the first begins."""
    return leb(section, 0)


def appended(section: bytes, items: list[bytes]) -> bytes:
    """A section with more items."""
    total, at = count(section)
    return number_of(total + len(items)) + section[at:] + b"".join(items)


def leb(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and what follows it."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def number_of(value: int) -> bytes:
    """The same the other way."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)
