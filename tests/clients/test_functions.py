"""Functions through the whole server: outcomes, error objects with AWS's fields, hostile modules contained."""

import base64
import io
import json
import time
from pathlib import Path

import duckdb
import pytest
import zstandard

from server import lambda_processor, processing

FLIGHTS = Path(__file__).resolve().parents[1] / "fixtures" / "flights.ndjson.zst"
ERRORS = {"Prefix": "ok/", "ErrorOutputPrefix": "err/!{firehose:error-output-type}/"}


def through(function: str, **parameters) -> dict:
    """Destination members of a stream through `function`."""
    return {**ERRORS, "ProcessingConfiguration": processing(lambda_processor(function, **parameters))}


def put(server, stream, records: list[bytes]) -> dict:
    """Puts and waits; the stream's status."""
    for start in range(0, len(records), 500):
        server.firehose().put_record_batch(DeliveryStreamName=stream,
                                           Records=[{"Data": each} for each in records[start:start + 500]])
    return server.drained(stream, len(records))


def good(server, stream) -> bytes:
    """What was delivered."""
    return b"".join(body for key, body in server.objects(stream).items() if key.startswith("ok/"))


def errors(server, stream) -> list[dict]:
    """Lines of the error objects."""
    return [json.loads(line) for key, body in server.objects(stream).items()
            if key.startswith("err/processing-failed/") for line in body.splitlines()]


def test_identity_changes_nothing(server, create, deployed):
    stream = create(**through(deployed("identity")))
    records = [b"%d,\x00\xff\n" % n for n in range(300)]
    assert put(server, stream, records)["delivered"] == 300
    assert good(server, stream) == b"".join(records)


def test_random_output_is_delivered_once(server, create, deployed):
    stream = create(**through(deployed("random")))
    assert put(server, stream, [b"{}\n"] * 50)["delivered"] == 50


def test_poison_stands_alone(server, create, deployed):
    """One record traps the function: it goes to the error prefix with the trace, the rest is delivered."""
    name = deployed("trap-on-one")
    stream = create(**through(name, NumberOfRetries="1"))
    records = [b"record %d\n" % n for n in range(64)]
    records[37] = b"this is poison\n"
    before = time.time() * 1000
    report = put(server, stream, records)
    assert (report["delivered"], report["failed"]) == (63, 1), report
    assert sorted(good(server, stream).splitlines()) == sorted(
        line.strip() for line in records if b"poison" not in line)
    (line,) = errors(server, stream)
    assert list(line) == ["rawData", "errorCode", "errorMessage", "attemptsMade", "arrivalTimestamp",
                          "attemptEndingTimestamp", "lambdaARN"]
    assert base64.b64decode(line["rawData"]) == b"this is poison\n"
    assert line["errorCode"] == "Lambda.FunctionError" and line["errorMessage"]
    assert isinstance(line["attemptsMade"], int) and line["attemptsMade"] >= 1
    assert before - 60_000 < line["arrivalTimestamp"] <= line["attemptEndingTimestamp"] < time.time() * 1000 + 60_000
    assert line["lambdaARN"] == f"arn:aws:lambda:us-east-1:000000000000:function:{name}:$LATEST"


@pytest.mark.parametrize("hostile", ["spin", "eat-memory", "deep-recursion", "rubbish", "huge-output"])
def test_hostile_function_fails_its_own_records_only(server, create, guest, hostile, firehose, name):
    answer = server.own("PUT", f"/v1/functions/{hostile}", guest(hostile), x_millrace_deadline_ms="100",
                        Content_Type="application/wasm")
    assert answer.status in (200, 201), answer.body
    stream = create(**through(hostile, NumberOfRetries="0"))
    report = put(server, stream, [b"a", b"b", b"c"])
    assert report["failed"] == 3 and report["delivered"] == 0, report
    assert sorted(base64.b64decode(line["rawData"]) for line in errors(server, stream)) == [b"a", b"b", b"c"]
    assert all(line["errorCode"].startswith("Lambda.") for line in errors(server, stream))
    assert server.send("GET", "/health/live", {}).status == 200


def test_undeclared_import_is_refused_by_name(server, guest):
    answer = server.own("PUT", "/v1/functions/files", guest("file-system"), Content_Type="application/wasm")
    assert answer.status == 400, answer.body
    assert "wasi_snapshot_preview1.path_open" in answer.json()["error"]["message"]


def test_rubbish_modules_are_refused(server):
    for body in (b"", b"nonsense", b"\0asm\x01\0\0\0", bytes(1 << 20)):
        answer = server.own("PUT", "/v1/functions/nonsense", body, Content_Type="application/wasm")
        assert 400 <= answer.status < 500, answer.body
        assert answer.json()["error"]["code"] and answer.json()["error"]["message"]


def test_unknown_function_never_drops(server, create):
    """The function is not deployed: the stream waits and says so, or the records are set aside; none is dropped."""
    stream = create(**through("nobody-deployed-this", NumberOfRetries="0"))
    server.firehose().put_record(DeliveryStreamName=stream, Record={"Data": b"x"})
    deadline = time.monotonic() + 30
    while True:
        report = server.status(stream)
        if report["failed"] == 1 or report["parked"]:
            break
        assert time.monotonic() < deadline, report
        time.sleep(0.1)
    assert report["dropped"] == 0 and report["delivered"] == 0 and report["balance"] == 0
    if report["parked"]:
        assert "nobody-deployed-this" in report["parked"]["message"]


def test_versions_are_kept(server, create, guest):
    """Each deploy is a new version; an ARN can name one."""
    first = server.deploy("versioned", guest("identity"))
    second = server.deploy("versioned", guest("fan-out"))
    assert (first["version"], second["version"]) == (1, 2)
    stream = create(**through("versioned:1"))
    assert put(server, stream, [b"x"])["delivered"] == 1
    assert good(server, stream) == b"x"
    listed = server.own("GET", "/v1/functions")
    assert listed.status == 200 and b"versioned" in listed.body


def test_invoke_tells_outcomes(server, deployed):
    answer = server.own("POST", f"/v1/functions/{deployed('identity')}/invoke", b'{"a":1}\n{"a":2}\n',
                        Content_Type="application/x-ndjson")
    assert answer.status == 200, answer.body
    assert answer.json()


def test_flights_to_parquet(server, create, deployed):
    """The demo's function on its real data: cancelled flights dropped, the rest enriched, read by DuckDB."""
    lines = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(FLIGHTS.read_bytes())).read().splitlines()
    rows = [json.loads(line) for line in lines]
    flown = [row for row in rows if row["dep_time"] is not None]
    assert rows and len(flown) < len(rows)
    stream = create(BufferingHints={"SizeInMBs": 64, "IntervalInSeconds": 100}, **through(deployed("flights")),
                    DataFormatConversionConfiguration={
                        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "ZSTD"}}}})
    report = put(server, stream, lines)
    assert (report["delivered"], report["dropped"], report["failed"]) == (len(flown), len(rows) - len(flown), 0)
    files = [str(server.data_dir / "objects" / stream / key) for key in server.objects(stream)]
    count, miles, late, fastest = duckdb.connect().execute(
        "SELECT count(*), sum(distance), count(*) FILTER (WHERE late), max(speed_mph) FROM read_parquet(?)",
        [files]).fetchone()
    assert count == len(flown) and miles == sum(row["distance"] for row in flown)
    assert late == sum(1 for row in flown if (row["arr_delay"] or 0) > 15)
    assert 300 < fastest < 800
