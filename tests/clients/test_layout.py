"""Object keys as AWS makes them: the worked examples of the reference, time zones, extensions, partitions."""

import base64
import datetime
import gzip
import json
import re

import pytest

from server import lambda_processor, processing

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
DAY = r"\d{4}/\d\d/\d\d/\d\d/"
STAMP = r"\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d"
ERRORS = {"ErrorOutputPrefix": "err/!{firehose:error-output-type}/"}
HINTS = {"SizeInMBs": 64, "IntervalInSeconds": 60}
# Destination members, and the whole key as a pattern (`@` is the stream's name and version).
KEYS = {
    "no prefix": ({}, DAY + "@"),
    "prefix and gzip": ({"Prefix": "raw/", "CompressionFormat": "GZIP"}, "raw/" + DAY + r"@\.gz"),
    "prefix without slash": ({"Prefix": "raw"}, "raw" + DAY + "@"),
    "timestamp and random": ({"Prefix": "y=!{timestamp:yyyy}/!{firehose:random-string}-", **ERRORS},
                             r"y=\d{4}/[A-Za-z0-9]{11}-@"),
    "random alone has no date": ({"Prefix": "x/!{firehose:random-string}/", **ERRORS}, "x/[A-Za-z0-9]{11}/@"),
    "pattern with text": ({"Prefix": "!{timestamp:'year='yyyy'/doy='DDD}/", **ERRORS}, r"year=\d{4}/doy=\d{3}/@"),
    "file extension": ({"FileExtension": ".json"}, DAY + r"@\.json"),
    "extension replaces gzip's": ({"FileExtension": ".json.z", "CompressionFormat": "GZIP"}, DAY + r"@\.json\.z"),
    "empty extension": ({"FileExtension": "", "CompressionFormat": "ZIP"}, DAY + r"@\.zip"),
}


@pytest.mark.parametrize("case", KEYS)
def test_key(server, create, case):
    more, pattern = KEYS[case]
    stream = create(**more)
    server.firehose().put_record(DeliveryStreamName=stream, Record={"Data": b"x"})
    server.drained(stream, 1)
    (key,) = server.objects(stream)
    whole = pattern.replace("@", f"{re.escape(stream)}-1-{STAMP}-{UUID4}")
    assert re.fullmatch(whole, key), (key, whole)


@pytest.mark.parametrize("zone, hours", [("UTC", 0), ("Asia/Tokyo", 9)])
def test_time_is_of_the_oldest_record(server, create, zone, hours):
    stream = create(CustomTimeZone=zone)
    before = datetime.datetime.now(datetime.timezone.utc)
    server.firehose().put_record(DeliveryStreamName=stream, Record={"Data": b"x"})
    after = datetime.datetime.now(datetime.timezone.utc)
    server.drained(stream, 1)
    (key,) = server.objects(stream)
    folder, file = key.rsplit("/", 1)
    stamp = re.search(STAMP, file.removeprefix(f"{stream}-1-")).group()
    local = datetime.datetime.strptime(stamp, "%Y-%m-%d-%H-%M-%S").replace(tzinfo=datetime.timezone.utc)
    arrived = local - datetime.timedelta(hours=hours)
    assert before.replace(microsecond=0) <= arrived <= after
    assert folder == local.strftime("%Y/%m/%d/%H")


def partitioned(name, prefix, **more) -> dict:
    """Members of a stream that is partitioned by what the function `partition` says."""
    return {"Prefix": prefix, **ERRORS, "BufferingHints": HINTS,
            "DynamicPartitioningConfiguration": {"Enabled": True},
            "ProcessingConfiguration": processing(lambda_processor(name)), **more}


def test_partitions_by_a_function(server, create, deployed):
    """Each partition has objects of its own, and every record is in the right one. The function takes the keys
    from the record's head: `customer=c1;the rest`."""
    stream = create(**partitioned(deployed("partition"), "k=!{partitionKeyFromLambda:customer}/",
                                  CompressionFormat="GZIP"))
    server.firehose().put_record_batch(DeliveryStreamName=stream, Records=[
        {"Data": b"customer=c%d;%d\n" % (n % 4, n)} for n in range(200)])
    report = server.drained(stream, 200)
    assert report["delivered"] == 200, report
    seen = []
    for key, body in server.objects(stream).items():
        match = re.match(r"k=c(\d)/", key)
        assert match, key
        found = [int(line) for line in gzip.decompress(body).split()]
        assert {n % 4 for n in found} == {int(match.group(1))}
        seen += found
    assert sorted(seen) == list(range(200))


def test_partition_value_cannot_leave_its_prefix(server, create, deployed):
    """A hostile value stays below the prefix, whatever it holds; an empty one fails with AWS's code."""
    stream = create(**partitioned(deployed("partition"), "in/!{partitionKeyFromLambda:customer}/"))
    values = ["../../../escape", "..", "/etc", "a/../../b", "nul\0", "x" * 2000, ""]
    server.firehose().put_record_batch(DeliveryStreamName=stream, Records=[
        {"Data": f"customer={value};escape".encode()} for value in values])
    report = server.drained(stream, len(values))
    assert report["delivered"] + report["failed"] == len(values) and report["failed"] >= 1
    objects = server.objects(stream)
    assert all(key.startswith(("in/", "err/")) and "/../" not in key for key in objects), list(objects)
    lines = [json.loads(line) for key, body in objects.items() if key.startswith("err/") for line in body.splitlines()]
    empty = [line for line in lines if base64.b64decode(line["rawData"]) == b"customer=;escape"]
    assert [line["errorCode"] for line in empty] == ["DynamicPartitioning.MetadataExtractionFailed"]
    outside = [path for path in (*server.data_dir.rglob("*escape*"), *server.data_dir.parent.glob("*escape*"))
               if "objects" not in path.parts]
    assert not outside
