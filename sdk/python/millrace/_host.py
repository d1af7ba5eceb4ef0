"""What a function may ask of its host. Natively, in tests, the process stands in for it."""

import os
import sys
import time

try:
    from wit_world.imports import clock as _clock
    from wit_world.imports import invocation as _invocation
    from wit_world.imports import log as _log
    from wit_world.imports import random as _random
    from wit_world.imports import settings as _settings
except ImportError:
    _log = None

# Random bytes that the host gives in one call.
RANDOM_BYTES_MAX = 65_536
# The region of a function's ARN, where the setting AWS_REGION names no other: a call does not say it.
REGION = "us-east-1"
# Whether a call runs: while a component is built there is no host.
_started = False


def inside():
    """True in a running component; false natively and while one is built."""
    return _started


def start():
    """From here on the host answers."""
    global _started
    _started = _log is not None


def log(level, message):
    """Logs lines: level is "debug", "info", "warn" or "error"."""
    if level not in ("debug", "info", "warn", "error"):
        raise ValueError(f'a level is "debug", "info", "warn" or "error", not {level!r}')
    for line in str(message).splitlines() or [""]:
        if _started:
            # Half a surrogate pair is no text of the world.
            _log.log(_log.Level[level.upper()], line.encode("utf-8", "replace").decode())
        else:
            sys.__stderr__.write(f"{level}: {line}\n")


def frames(error):
    """The lines of an exception's stack, those of the project's own files: in a component their names
    are relative, others' begin with a slash, and those of frozen modules with `<`."""
    import traceback

    found = traceback.extract_tb(error.__traceback__)
    return traceback.format_list([frame for frame in found if not _started or not frame.filename.startswith(("/", "<"))])


def setting(name):
    """What the operator set under `name`, or None. Natively the environment variable of that name."""
    return _settings.get(name) if _started else os.environ.get(name)


def region():
    """The region that `AWS_REGION` and the function's ARN name."""
    return setting("AWS_REGION") or REGION


def now_ms():
    """Milliseconds since the Unix epoch."""
    return _clock.now_ms() if _started else int(time.time() * 1000)


def random_bytes(count):
    """That many random bytes, good enough for keys."""
    if not _started:
        return os.urandom(count)
    parts = [_random.bytes(min(RANDOM_BYTES_MAX, count - at)) for at in range(0, count, RANDOM_BYTES_MAX)]
    return b"".join(parts)


def current():
    """The running call: request_id, function_name, function_version, memory_limit_bytes, deadline_ms,
    client_context."""
    return _invocation.current()
