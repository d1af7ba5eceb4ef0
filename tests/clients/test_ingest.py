"""Plain HTTP: lines, arrays, raw bodies, compressed or not; bombs, rubbish and strangers are refused."""

import gzip
import json

import pytest
import zstandard

from server import KEY_ID, SECRET, TOKEN

NDJSON = "application/x-ndjson"
LINES = [b'{"n":1}', b'{"n":2}', '{"n":"ü"}'.encode()]
# Content type, body, and the records that it holds.
BODIES = {
    "lines": (NDJSON, b"\n".join(LINES) + b"\n", LINES),
    "lines without the last newline": (NDJSON, b"\n".join(LINES), LINES),
    "lines with CR": (NDJSON, b"\r\n".join(LINES) + b"\r\n", None),
    "empty lines between": (NDJSON, b"\n\n".join(LINES) + b"\n\n", LINES),
    "plain text": ("text/plain", b"one\ntwo\n", [b"one", b"two"]),
    "array": ("application/json", b"[" + b",".join(LINES) + b"]", LINES),
    "array with spaces": ("application/json", b'[ {"n": 1} ,\n 2, "x", null ]', [b'{"n": 1}', b"2", b'"x"', b"null"]),
    "raw": ("application/octet-stream", bytes(range(256)), [bytes(range(256))]),
}


def post(server, stream, body, kind=NDJSON, **headers):
    """Posts to the stream with the bearer token."""
    return server.own("POST", f"/v1/delivery-streams/{stream}/records", body, Content_Type=kind, **headers)


@pytest.mark.parametrize("coding", ["", "gzip", "zstd"])
@pytest.mark.parametrize("case", BODIES)
def test_body(server, create, case, coding):
    kind, body, expected = BODIES[case]
    coded = {"": lambda: body, "gzip": lambda: gzip.compress(body),
             "zstd": lambda: zstandard.ZstdCompressor().compress(body)}[coding]()
    stream = create()
    answer = post(server, stream, coded, kind, **({"Content_Encoding": coding} if coding else {}))
    assert answer.status == 200, answer.body
    told = answer.json()
    count = told["records"]
    assert count == len(expected or LINES)
    assert told["firstRecordId"] and told["lastRecordId"]
    assert (told["firstRecordId"] == told["lastRecordId"]) == (count == 1)
    server.drained(stream, count)
    delivered = b"".join(server.objects(stream).values())
    if expected is not None:
        joined = [b"".join(expected), b"".join(each + b"\n" for each in expected)]
        assert delivered in joined


def test_many_lines_at_once(server, create):
    """One request may hold more than a PutRecordBatch."""
    stream = create(CompressionFormat="GZIP")
    body = b"".join(b'{"n":%d}\n' % n for n in range(20_000))
    answer = post(server, stream, body)
    assert answer.status == 200 and answer.json()["records"] == 20_000, answer.body
    assert server.drained(stream, 20_000)["delivered"] == 20_000


@pytest.mark.parametrize("coding, bomb", [
    ("gzip", lambda: gzip.compress(bytes(512 << 20), 1)),
    ("zstd", lambda: zstandard.ZstdCompressor(level=1).compress(bytes(512 << 20)))])
def test_bomb(server, create, coding, bomb):
    stream = create()
    answer = post(server, stream, bomb(), Content_Encoding=coding)
    assert answer.status == 413, answer.body
    assert answer.json()["error"]["code"] and answer.json()["error"]["message"]
    assert server.status(stream)["accepted"] == 0


WRONG = {
    "broken array": ("application/json", b"[1,2", {}, (400,)),
    "no array": ("application/json", b"{]", {}, (400,)),
    "rubbish for gzip": (NDJSON, b"rubbish", {"Content_Encoding": "gzip"}, (400,)),
    "cut gzip": (NDJSON, gzip.compress(b"x" * 100_000)[:-9], {"Content_Encoding": "gzip"}, (400,)),
    "rubbish for zstd": (NDJSON, b"rubbish", {"Content_Encoding": "zstd"}, (400,)),
    "unknown coding": (NDJSON, b"x", {"Content_Encoding": "br"}, (415,)),
    "unknown type": ("image/png", b"x", {}, (415,)),
    "nothing": (NDJSON, b"", {}, (400,)),
    "line over 1000 KiB": (NDJSON, b"x" * 1_024_001, {}, (400, 413)),
    "raw over 1000 KiB": ("application/octet-stream", b"x" * 1_024_001, {}, (400, 413)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(server, create, case):
    kind, body, headers, statuses = WRONG[case]
    stream = create()
    answer = post(server, stream, body, kind, **headers)
    assert answer.status in statuses, (answer.status, answer.body)
    assert answer.json()["error"]["code"] and answer.json()["error"]["message"]
    assert server.status(stream)["accepted"] == 0


def test_unknown_stream(server):
    answer = post(server, "nobody", b"x\n")
    assert answer.status == 404 and "nobody" in answer.json()["error"]["message"], answer.body


@pytest.mark.parametrize("authorization", [None, "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
def test_strangers(server, create, authorization):
    stream = create()
    headers = {"Content-Type": NDJSON} | ({"Authorization": authorization} if authorization is not None else {})
    answer = server.send("POST", f"/v1/delivery-streams/{stream}/records", headers, b"x\n")
    assert answer.status in (401, 403), answer.body
    for path in ("/v1/status", "/v1/functions", "/v1/schemas"):
        assert server.send("GET", path, headers).status in (401, 403), path


@pytest.mark.parametrize("service", ["firehose", "millrace"])
def test_signed(server, create, service):
    stream = create()
    path = f"/v1/delivery-streams/{stream}/records"
    answer = server.signed(b"x\n", path=path, headers={"Content-Type": NDJSON}, service=service)
    assert answer.status == 200, answer.body
    wrong = server.signed(b"x\n", path=path, headers={"Content-Type": NDJSON}, service=service, secret=SECRET + "x")
    assert wrong.status in (401, 403), wrong.body


def test_methods_and_paths(server, create):
    stream = create()
    assert server.own("GET", f"/v1/delivery-streams/{stream}/records").status == 405
    assert server.own("POST", "/v1/nothing", b"x").status == 404
    assert server.own("POST", "/v1/delivery-streams/a%2Fb/records", b"x").status in (400, 404)


def test_open_routes(server):
    assert server.send("GET", "/health/live", {}).status == 200
    assert server.send("GET", "/health/ready", {}).status == 200
    metrics = server.send("GET", "/metrics", {})
    assert metrics.status == 200 and metrics.headers["Content-Type"].startswith("text/plain")
    text = metrics.body.decode()
    assert "# TYPE" in text and "millrace_" in text
    assert SECRET not in text and TOKEN not in text and KEY_ID not in text


def test_status_counts_add_up(server, create):
    stream = create()
    post(server, stream, b"a\nb\n")
    report = server.drained(stream, 2)
    assert report["accepted"] == 2 == report["delivered"] and report["oldest_pending_age_s"] == 0
    everyone = server.own("GET", "/v1/status").json()
    assert json.dumps(stream) in json.dumps(everyone["streams"]) and "journal" in everyone
