"""Python's view of the machine, answered by the host: settings as the environment, its clock, its
randomness, its log. What a function has not is refused in words.

The component imports nothing of WASI, so what is not answered here would end the call without a word.
Each replacement asks the original while the component is built, and the host once a call runs; so a
module that took `time.time` away at its import has the right one.
"""

import _io
import builtins
import collections.abc
import datetime as _datetime
import errno
import io
import logging
import os
import random
import sys
import time

from . import _host

# Environment variables of Lambda that are not settings, and where each comes from.
RESERVED = {
    "AWS_LAMBDA_FUNCTION_NAME": lambda: _host.current().function_name,
    "AWS_LAMBDA_FUNCTION_VERSION": lambda: _host.current().function_version,
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": lambda: str(_host.current().memory_limit_bytes >> 20),
}
# Functions that would reach for files, processes or the network.
ABSENT_FILES = (
    "access chdir chmod fstat fsync getcwd link listdir lstat mkdir open pipe readlink remove rename replace rmdir scandir stat"
    " symlink truncate unlink utime"
)
ABSENT_NETWORK = "create_connection getaddrinfo gethostbyname socketpair"


class Environ(collections.abc.MutableMapping):
    """`os.environ`: the settings, and what the function itself sets. A setting is looked up by its
    name; the names that were found so far are all that can be listed."""

    def __init__(self, original):
        self._original = original
        self._known = {}

    def _look(self, name):
        if not isinstance(name, str):
            raise TypeError(f"str expected, not {type(name).__name__}")
        if name not in self._known:
            value = RESERVED[name]() if name in RESERVED else _host.setting(name)
            if value is None:
                return None
            self._known[name] = value
        return self._known[name]

    def __getitem__(self, name):
        value = self._look(name) if _host.inside() else self._original.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name, value):
        if not isinstance(value, str):
            raise TypeError(f"str expected, not {type(value).__name__}")
        (self._known if _host.inside() else self._original)[name] = value

    def __delitem__(self, name):
        self[name]
        if _host.inside():
            self._known[name] = None
        else:
            del self._original[name]

    def __iter__(self):
        if not _host.inside():
            return iter(self._original)
        for name in RESERVED:
            self._look(name)
        return iter([name for name, value in self._known.items() if value is not None])

    def __len__(self):
        return sum(1 for _ in self)

    def copy(self):
        """The variables that can be listed, as a dict."""
        return dict(self)


class LogWriter(io.TextIOBase):
    """A stream whose lines are log lines."""

    encoding = "utf-8"

    def __init__(self, level):
        self._level = level
        self._line = ""

    def writable(self):
        return True

    def write(self, text):
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            _host.log(self._level, line)
        return len(text)

    def end(self):
        """Logs a last line that has no end: the call is over."""
        if self._line:
            _host.log(self._level, self._line)
            self._line = ""


class LogHandler(logging.Handler):
    """`logging` into the host's log."""

    def emit(self, record):
        level = "error" if record.levelno >= logging.ERROR else "warn" if record.levelno >= logging.WARNING else None
        level = level or ("info" if record.levelno >= logging.INFO else "debug")
        try:
            _host.log(level, self.format(record))
        except Exception:
            self.handleError(record)


def _patch(module, name, instead):
    original = getattr(module, name, None)
    if original is None:
        return

    def replaced(*given, **named):
        return (instead if _host.inside() else original)(*given, **named)

    replaced.__name__ = replaced.__qualname__ = name
    replaced.__doc__ = original.__doc__
    setattr(module, name, replaced)


def _absent(what, number=errno.ENOENT):
    def refuse(*given, **_):
        path = given[0] if given and isinstance(given[0], (str, bytes)) else None
        raise OSError(number, f"{what}: a function has no files, processes or sockets", path)

    return refuse


def _clocks():
    now_s = lambda: _host.now_ms() / 1000
    now_ns = lambda: _host.now_ms() * 1_000_000
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        _patch(time, name, now_s)
        _patch(time, name + "_ns", now_ns)
    gmtime, strftime, asctime = time.gmtime, time.strftime, time.asctime
    parts = lambda seconds=None: gmtime(now_s() if seconds is None else seconds)
    # A function's time zone is UTC.
    for name in ("gmtime", "localtime"):
        _patch(time, name, parts)
    _patch(time, "strftime", lambda form, at=None: strftime(form, parts() if at is None else at))
    _patch(time, "asctime", lambda at=None: asctime(parts() if at is None else at))
    _patch(time, "ctime", lambda seconds=None: asctime(parts(seconds)))
    _patch(time, "sleep", _absent("time.sleep", errno.ENOSYS))


class _Now(_datetime.datetime):
    """`datetime.datetime`, whose C asks the machine's clock itself."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    @classmethod
    def today(cls):
        return cls.fromtimestamp(time.time())

    @classmethod
    def utcnow(cls):
        return cls.fromtimestamp(time.time(), _datetime.timezone.utc).replace(tzinfo=None)

    def __repr__(self):
        return "datetime." + super().__repr__()


def install():
    """Puts the replacements in place; before anything else is imported, while the component is built."""
    import posix
    import socket

    _clocks()
    _Now.__name__ = _Now.__qualname__ = "datetime"
    _Now.__module__ = "datetime"
    _datetime.datetime = _Now
    _patch(os, "urandom", _host.random_bytes)
    _patch(random, "_urandom", _host.random_bytes)
    # Importers have `posix` and `_io` themselves.
    for module, names in ((os, ABSENT_FILES), (posix, ABSENT_FILES), (socket, ABSENT_NETWORK)):
        for name in names.split():
            _patch(module, name, _absent(f"{module.__name__}.{name}"))
    for module, name in ((builtins, "open"), (io, "open"), (_io, "open"), (io, "open_code"), (_io, "open_code")):
        _patch(module, name, _absent("open"))
    _patch(socket.socket, "__init__", _absent("socket.socket"))
    os.environ = Environ(os.environ)


def start():
    """From the first call of an instance on: the host's log and randomness."""
    _host.start()
    sys.stdout, sys.stderr = LogWriter("info"), LogWriter("error")
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    root = logging.getLogger()
    root.handlers[:] = [LogHandler()]
    named = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    root.setLevel(named if named in logging.getLevelNamesMapping() else logging.WARNING)
    random.seed(int.from_bytes(_host.random_bytes(32), "big"))


def end():
    """A call is over: lines without an end are logged."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, LogWriter):
            stream.end()
