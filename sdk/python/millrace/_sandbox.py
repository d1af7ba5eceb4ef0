"""Python's view of the machine, answered by the host: settings as the environment, its clock, its
randomness, its log. What a function has not is refused in words.

The component imports nothing of WASI, so what is not answered here would end the call without a word.
Each replacement asks the original while the component is built, and the host once a call runs; so a
module that took `time.time` away at its import has the right one.
"""

import _io
import builtins
import errno
import os
import posix
import sys
import time
import types

from . import _host, _json

# Functions that would reach for files, processes or the network.
ABSENT_FILES = (
    "access chdir chmod fstat fsync link listdir lstat mkdir open pipe readlink remove rename replace rmdir scandir stat"
    " symlink truncate unlink utime"
)
ABSENT_NETWORK = "getaddrinfo gethostbyname gethostname getnameinfo socketpair"


def _patch(module, name, instead):
    original = getattr(module, name, None)
    if original is None:
        return

    def replaced(*given, **named):
        return (instead if _host.inside() else original)(*given, **named)

    replaced.__name__ = replaced.__qualname__ = name
    replaced.__doc__ = original.__doc__
    setattr(module, name, replaced)


def _absent(what, number=errno.ENOENT, has_not="files"):
    def refuse(*given, **_):
        path = given[0] if given and isinstance(given[0], (str, bytes)) else None
        raise OSError(number, f"{what}: a function has no {has_not}", path)

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
    _patch(time, "sleep", _absent("time.sleep", errno.ENOSYS, "way to wait"))
    info = types.SimpleNamespace(implementation="millrace", monotonic=False, adjustable=True, resolution=0.001)
    _patch(time, "get_clock_info", lambda name: info)


def _files():
    # Importers have `posix` and `_io` themselves.
    for module in (os, posix):
        for name in ABSENT_FILES.split():
            _patch(module, name, _absent(f"os.{name}"))
    for module, name in ((builtins, "open"), (_io, "open"), (_io, "open_code")):
        _patch(module, name, _absent("open"))

    # Python's own C opens files too: a SyntaxError looks for its line.
    def hook(event, given):
        if event == "open" and _host.inside():
            raise OSError(errno.ENOENT, "open: a function has no files", given[0])

    sys.addaudithook(hook)

    def leave(status=0):
        raise SystemExit(status)

    _patch(os, "_exit", leave)


def _dates():
    import datetime

    class Now(datetime.datetime):
        """`datetime.datetime`, whose C asks the machine's clock itself."""

        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def today(cls):
            return cls.fromtimestamp(time.time())

        @classmethod
        def utcnow(cls):
            return cls.fromtimestamp(time.time(), datetime.timezone.utc).replace(tzinfo=None)

        def __repr__(self):
            return "datetime." + super().__repr__()

    Now.__name__ = Now.__qualname__ = "datetime"
    Now.__module__ = "datetime"
    datetime.datetime = Now


def _randomness():
    import random

    _patch(random, "_urandom", _host.random_bytes)
    plain = random.Random.seed

    def seed(self, a=None, version=2):
        if a is None and _host.inside():
            a = int.from_bytes(_host.random_bytes(32), "big")
        plain(self, a, version)

    random.Random.seed = seed
    random.seed = random._inst.seed


def _network():
    # What `socket` is made of, so that it need not be imported for those who have no use for it.
    import _socket
    import select

    refuse = _absent("socket", errno.ENOSYS, "sockets")
    plain = _socket.socket

    class Socket(plain):
        __slots__ = ()

        def __init__(self, *given, **named):
            (refuse if _host.inside() else super().__init__)(*given, **named)

    Socket.__name__ = Socket.__qualname__ = "socket"
    _socket.socket = _socket.SocketType = Socket
    for name in ("poll", "select"):
        _patch(select, name, _absent(f"select.{name}", errno.ENOSYS, "way to wait"))
    for name in ABSENT_NETWORK.split():
        _patch(_socket, name, _absent(f"socket.{name}", errno.ENOSYS, "sockets"))


def install():
    """Puts the replacements in place, while the component is built and before other modules take the
    originals: the plain ones first."""
    _clocks()
    _files()
    _patch(os, "urandom", _host.random_bytes)
    _dates()
    _randomness()
    _network()
    _json.install()
    from ._streams import Environ

    os.environ = Environ(os.environ)


def start():
    """From the first call of an instance on: the host's log and randomness."""
    import logging
    import random

    from ._streams import LogHandler, LogWriter

    _host.start()
    sys.stdout, sys.stderr = LogWriter("info"), LogWriter("error")
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    root = logging.getLogger()
    root.handlers[:] = [LogHandler()]
    named = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    root.setLevel(named if named in logging.getLevelNamesMapping() else logging.WARNING)
    random.seed()


def end():
    """A call is over: lines without an end are logged."""
    for stream in (sys.stdout, sys.stderr):
        flush = getattr(stream, "end", None)
        if flush:
            flush()
