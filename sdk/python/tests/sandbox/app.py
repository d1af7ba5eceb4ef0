"""What Python's library does in a component: each event names one thing to do."""

import asyncio
import datetime
import decimal
import gzip
import importlib
import json
import logging
import os
import random
import secrets
import sys
import threading
import time
import urllib.request
import uuid
import zoneinfo
from datetime import datetime as when
from time import time as taken_at_import

from lib.helper import NAME

logging.getLogger().setLevel(logging.INFO)
AT_IMPORT = [os.environ["AWS_REGION"], os.environ["AWS_DEFAULT_REGION"], os.environ["_HANDLER"]]
if os.environ.get("EXIT_AT_IMPORT"):
    sys.exit(4)
seen = 0


def refused(call, *given):
    """The kind of error that a call ends with."""
    try:
        call(*given)
    except Exception as error:
        return type(error).__name__
    return "nothing"


def clock():
    moment = when(2026, 11, 25, 9, 0, tzinfo=datetime.timezone.utc)
    stamps = [time.time(), taken_at_import(), time.time_ns() / 1e9, when.now(datetime.timezone.utc).timestamp()]
    return {
        "same": [stamp == moment.timestamp() for stamp in stamps],
        "dates": [str(when.now()), str(when.utcnow()), str(datetime.date.today()), time.strftime("%H:%M"), time.ctime()],
        "kinds": [isinstance(when.now(), datetime.datetime), repr(when(2020, 1, 2)), type(when.now() + datetime.timedelta(1)).__name__],
        "parsed": str(when.strptime("25/Nov/2026:10:30:00 +0100", "%d/%b/%Y:%H:%M:%S %z")),
        "zone": when.now(zoneinfo.ZoneInfo("Europe/Berlin")).isoformat(),
    }


def randomness():
    drawn = [random.random(), random.Random().random(), str(uuid.uuid4()), secrets.token_hex(4), os.urandom(4).hex()]
    return {"distinct": len(set(map(str, drawn))), "lengths": [len(os.urandom(70_000)), len(drawn[2])]}


def absent():
    return {
        "open": refused(open, "/etc/passwd"),
        "stat": refused(os.stat, "/"),
        "listdir": refused(os.listdir, "/"),
        "exists": os.path.exists("/"),
        "urlopen": refused(urllib.request.urlopen, "http://127.0.0.1/"),
        "sleep": refused(time.sleep, 1),
        "thread": refused(threading.Thread(target=print).start),
        "loop": refused(asyncio.new_event_loop),
        "import": refused(importlib.import_module, "boto3"),
    }


def late():
    return [importlib.import_module("wave").__name__, "é€".encode("cp1252").hex(), gzip.decompress(gzip.compress(b"x")).decode()]


def deep():
    """JSON of as many levels as are read, written again; and of more."""
    most = '{"a":' * 500 + "1" + "}" * 500
    return [json.dumps(json.loads(most)).count("a"), refused(json.loads, "[" * 5_000), refused(json.loads, b'[{"a":' * 5_000)]


def environment():
    os.environ["OWN"] = "1"
    known = sorted(name for name in os.environ if not name.startswith("AWS_LAMBDA_FUNCTION_"))
    return {"at_import": AT_IMPORT, "known": known, "name": NAME, "missing": os.environ.get("NONE", "default"), "own": os.getenv("OWN")}


def lambda_handler(event, context):
    global seen
    seen += 1
    what = event["do"]
    if what == "raise":
        raise ValueError("é boom")
    if what == "exit":
        sys.exit(3)
    if what == "stop":
        raise KeyboardInterrupt("stop")
    if what == "half":
        print("\ud800")
        raise ValueError("half \ud800")
    if what == "syntax":
        return refused(compile, "x = [", "x", "exec")
    if what == "marshal":
        return {"at": when.now()}
    if what == "decimal":
        return {"n": decimal.Decimal("1.5"), "é": (1, "x", True)}
    if what == "context":
        arn = context.invoked_function_arn.split(":")
        return [arn[:6], context.get_remaining_time_in_millis() > 0, bool(context.aws_request_id), context.memory_limit_in_mb.isdigit(), seen]
    return {"clock": clock, "random": randomness, "absent": absent, "late": late, "environment": environment, "deep": deep}[what]()
