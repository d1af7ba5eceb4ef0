"""Small state of the function's own, shared by its versions and instances. Needs the grant `key_value`.

Writes become durable together once the call has answered well; a call that fails leaves nothing.
"""

from componentize_py_types import Err
from wit_world.imports import key_value as _store


class KeyValueError(Exception):
    """What the host refuses with."""


def _asked(function, *given):
    try:
        return function(*given)
    except Err as error:
        raise KeyValueError(error.value) from None


def get(key):
    """The value of a key as bytes, or None."""
    return _asked(_store.get, key)


def set(key, value):
    """Sets a key of 1 to 256 bytes to bytes (or text) of at most 64 KiB."""
    _asked(_store.set, key, value.encode() if isinstance(value, str) else bytes(value))


def delete(key):
    """Removes a key; it need not be there."""
    _asked(_store.delete, key)


def keys(prefix="", after=None):
    """Keys that begin with `prefix`, in order, at most 1,000, behind `after`."""
    return _asked(_store.keys, prefix, after)
