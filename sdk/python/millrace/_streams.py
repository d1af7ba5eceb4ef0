"""The environment, the streams and `logging`, answered by the host."""

import collections.abc
import io
import logging

from . import _host

# The handler as Lambda names it, `app.lambda_handler`; a function over records has none.
handler = None
# Environment variables of Lambda, and where each comes from. Of them only the regions can be set.
RESERVED = {
    "AWS_REGION": _host.region,
    "AWS_DEFAULT_REGION": lambda: _host.setting("AWS_DEFAULT_REGION") or _host.region(),
    "_HANDLER": lambda: handler,
    "AWS_LAMBDA_FUNCTION_NAME": lambda: _host.current().function_name,
    "AWS_LAMBDA_FUNCTION_VERSION": lambda: _host.current().function_version,
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": lambda: str(_host.current().memory_limit_bytes >> 20),
}


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
