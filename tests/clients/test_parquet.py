"""Parquet, read by pyarrow and by DuckDB: rows equal what went in; bad rows are set aside with AWS's fields."""

import base64
import io
import json

import duckdb
import pyarrow.parquet
import pytest

from server import ROLE, destination

HINTS = {"SizeInMBs": 64, "IntervalInSeconds": 60}
ROWS = [{"id": n, "name": f"row {n}", "ratio": n / 4, "flag": n % 2 == 0, "none": None if n % 3 else n,
         "tags": [f"t{n % 5}", "all"], "place": {"city": "Köln", "zip": 50667 + n}} for n in range(1200)]
TABLE = {"columns": [
    {"name": "id", "type": "bigint"}, {"name": "name", "type": "string"}, {"name": "ratio", "type": "double"},
    {"name": "flag", "type": "boolean"}, {"name": "none", "type": "int"}, {"name": "tags", "type": "array<string>"},
    {"name": "place", "type": "struct<city:string,zip:int>"}]}
MAGIC = b"PAR1"


def conversion(codec="SNAPPY", schema=None, **serde) -> dict:
    """Destination members of a converting stream."""
    configuration = {
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": codec, **serde}}}}
    if schema:
        configuration["SchemaConfiguration"] = schema
    return {"DataFormatConversionConfiguration": configuration, "BufferingHints": HINTS}


def put(server, name, rows, **more) -> dict:
    """Creates the stream, puts rows of JSON (or bytes), and waits; its status."""
    client = server.firehose()
    client.create_delivery_stream(DeliveryStreamName=name,
                                  ExtendedS3DestinationConfiguration=destination(name, **more))
    data = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    for start in range(0, len(data), 500):
        client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": each} for each in data[start:start + 500]])
    return server.drained(name, len(data))


def parquet(server, name) -> dict[str, bytes]:
    """The Parquet objects."""
    return {key: body for key, body in server.objects(name).items() if key.endswith(".parquet")}


def failed(server, name) -> list[dict]:
    """Lines of the objects under format-conversion-failed/."""
    return [json.loads(line) for key, body in server.objects(name).items() if "format-conversion-failed/" in key
            for line in body.splitlines()]


def arrow_rows(server, name) -> list[dict]:
    """All rows, by pyarrow."""
    tables = [pyarrow.parquet.read_table(io.BytesIO(body)) for body in parquet(server, name).values()]
    return [row for table in tables for row in table.to_pylist()]


def duckdb_rows(server, name) -> list[dict]:
    """All rows, by DuckDB."""
    files = [str(server.data_dir / "objects" / name / key) for key in parquet(server, name)]
    found = duckdb.connect().execute("SELECT * FROM read_parquet(?, union_by_name = true)", [files])
    names = [column[0] for column in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def same(rows, expected) -> None:
    """Equality of rows in any order, by their id; a column of the reader alone must be empty."""
    assert len(rows) == len(expected)
    for row, wanted in zip(sorted(rows, key=lambda row: row["id"]), expected):
        extra = {key: value for key, value in row.items() if key not in wanted and value is not None}
        assert not extra and {key: row[key] for key in wanted} == wanted


@pytest.mark.parametrize("schema", ["inferred", "strict", "table"])
@pytest.mark.parametrize("codec", ["SNAPPY", "GZIP", "UNCOMPRESSED", "ZSTD"])
def test_rows(server, name, codec, schema):
    choice = {"inferred": None, "strict": {"VersionId": "INFER_STRICT"},
              "table": {"RoleARN": ROLE, "DatabaseName": "clients", "TableName": name}}[schema]
    if schema == "table":
        answer = server.own("PUT", f"/v1/schemas/clients/{name}", json.dumps(TABLE).encode(),
                            Content_Type="application/json")
        assert answer.status in (200, 201), answer.body
    report = put(server, name, ROWS, **conversion(codec, choice))
    assert report["delivered"] == len(ROWS) and report["failed"] == 0
    bodies = parquet(server, name)
    assert bodies and all(body[:4] == MAGIC == body[-4:] for body in bodies.values())
    used = {pyarrow.parquet.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(0).compression
            for body in bodies.values()}
    assert used == {codec}
    same(arrow_rows(server, name), ROWS)
    same(duckdb_rows(server, name), ROWS)


def test_statistics_and_writer(server, name):
    put(server, name, ROWS, **conversion())
    (body,) = parquet(server, name).values()
    metadata = pyarrow.parquet.ParquetFile(io.BytesIO(body)).metadata
    assert metadata.num_rows == len(ROWS) and "illrace" in metadata.created_by
    column = metadata.row_group(0).column(0)
    assert column.is_stats_set and column.statistics.has_min_max


def test_writer_version_two(server, name):
    put(server, name, ROWS, **conversion(WriterVersion="V2", EnableDictionaryCompression=False))
    same(arrow_rows(server, name), ROWS)
    same(duckdb_rows(server, name), ROWS)


def test_bad_rows_are_set_aside(server, name):
    """One bad row fails alone, with AWS's fields in AWS's order."""
    bad = [b"{broken", b"[1,2]", b"not json at all", b'"text"']
    report = put(server, name, [*ROWS[:20], *bad, *ROWS[20:40]], **conversion())
    assert (report["delivered"], report["failed"]) == (40, len(bad))
    same(arrow_rows(server, name), ROWS[:40])
    lines = failed(server, name)
    assert sorted(base64.b64decode(line["rawData"]) for line in lines) == sorted(bad)
    for line in lines:
        assert list(line)[:8] == ["attemptsMade", "arrivalTimestamp", "lastErrorCode", "lastErrorMessage",
                                  "attemptEndingTimestamp", "rawData", "sequenceNumber", "subSequenceNumber"]
        assert line["lastErrorCode"].startswith("DataFormatConversion.") and line["lastErrorMessage"]
        assert isinstance(line["arrivalTimestamp"], int) and line["subSequenceNumber"] is None


def test_table_names_are_those_of_glue(server):
    for database, table in (("clients", ".."), ("clients", "T"), ("clients", "a.b"), ("Clients", "t"), ("clients", "x" * 256)):
        answer = server.own("PUT", f"/v1/schemas/{database}/{table}", json.dumps(TABLE).encode())
        assert answer.status == 400 and answer.json()["error"]["code"] == "schema.name", answer.body


def test_a_running_stream_follows_its_table(server, name):
    """The next window has the columns of the newest version; a stream that names a version keeps it."""
    path = f"/v1/schemas/clients/{name}"
    one, two = ({"columns": [{"name": each, "type": "bigint"} for each in names]} for names in (["id"], ["id", "more"]))
    assert server.own("PUT", path, json.dumps(one).encode()).json()["version"] == 1
    schema = {"RoleARN": ROLE, "DatabaseName": "clients", "TableName": name}
    pinned = f"{name}-pinned"
    put(server, name, [{"id": 1, "more": 1}], **conversion(schema=schema))
    put(server, pinned, [{"id": 1, "more": 1}], **conversion(schema={**schema, "VersionId": "1"}))
    assert server.own("PUT", path, json.dumps(two).encode()).json()["version"] == 2
    for stream in (name, pinned):
        server.firehose().put_record(DeliveryStreamName=stream, Record={"Data": b'{"id":2,"more":2}'})
        server.drained(stream, 2)
    assert [row.get("more") for row in sorted(arrow_rows(server, name), key=lambda row: row["id"])] == [None, 2]
    assert all("more" not in row for row in arrow_rows(server, pinned))


def test_table_sets_misfits_aside(server, name):
    server.own("PUT", f"/v1/schemas/clients/{name}", json.dumps(TABLE).encode(), Content_Type="application/json")
    misfit = b'{"id":"no number","name":"x"}'
    schema = {"RoleARN": ROLE, "DatabaseName": "clients", "TableName": name}
    report = put(server, name, [ROWS[0], misfit, {"id": 1, "unknown": True}], **conversion(schema=schema))
    assert (report["delivered"], report["failed"]) == (2, 1)
    rows = sorted(arrow_rows(server, name), key=lambda row: row["id"])
    assert [row["id"] for row in rows] == [0, 1] and rows[1]["name"] is None and "unknown" not in rows[1]
    (line,) = failed(server, name)
    assert base64.b64decode(line["rawData"]) == misfit
    assert line["dataCatalogTable"]["databaseName"] == "clients" and line["dataCatalogTable"]["tableName"] == name


def test_strict_refuses_what_the_first_rows_did_not_have(server, name):
    report = put(server, name, [*ROWS[:50]], **conversion(schema={"VersionId": "INFER_STRICT"}))
    assert report["failed"] == 0
    same(arrow_rows(server, name), ROWS[:50])


def test_two_objects_in_one_record(server, name):
    put(server, name, [b'{"id":1}{"id":2}', b'{"id":3}\n{"id":4}'], **conversion())
    assert sorted(row["id"] for row in arrow_rows(server, name)) == [1, 2, 3, 4]


def test_mixed_types_lose_nothing(server, name):
    """Relaxed inference widens what differs; the values stay readable."""
    rows = [{"id": 1, "v": 1}, {"id": 2, "v": 2.5}, {"id": 3, "v": 3}, {"id": 4, "w": "text"}, {"id": 5, "w": 6}]
    report = put(server, name, rows, **conversion())
    assert report["delivered"] == 5
    found = {row["id"]: row for row in arrow_rows(server, name)}
    assert [found[n]["v"] for n in (1, 2, 3)] == [1.0, 2.5, 3.0]
    assert found[4]["w"] == "text" and str(found[5]["w"]) == "6"


def test_unregistered_table_is_refused_or_parks(server, name):
    """A table that nobody registered: told at create, or by a parked stream; never a silent drop."""
    answer = server.call("CreateDeliveryStream", {
        "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination(
            name, **conversion(schema={"RoleARN": ROLE, "DatabaseName": "nobody", "TableName": "nothing"}))})
    if answer.status == 200:
        server.firehose().put_record(DeliveryStreamName=name, Record={"Data": b"{}"})
        report = server.status(name)
        assert report["dropped"] == 0
    else:
        assert answer.error[0].endswith("InvalidArgumentException") and "nothing" in answer.error[1]
