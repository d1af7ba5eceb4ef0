"""Every compression, with and without delimiter, decoded by other libraries: the bytes that went in come out."""

import json
import random
import urllib.parse

import pytest

from decoders import FORMATS
from server import destination, processing

DELIMITERS = {"none": None, "newline": ("\\n", b"\n"), "tab": ("\\t", b"\t"), "text": ("||", b"||")}


def records() -> list[bytes]:
    """Records of all kinds: empty, one byte, every byte, text, larger than a block of any codec."""
    chance = random.Random(4573)
    texts = [json.dumps({"n": n, "path": f"/item/{n % 7}", "agent": "client"}).encode() for n in range(400)]
    return [b"", b"x", bytes(range(256)), chance.randbytes(70_000), b"a" * 300_000, "grün\n".encode(), b"\n", *texts]


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("format", FORMATS)
def test_bytes(server, name, format, delimiter):
    decode, extension, _ = FORMATS[format]
    more, tail = {"CompressionFormat": format}, b""
    if DELIMITERS[delimiter]:
        given, tail = DELIMITERS[delimiter]
        more["ProcessingConfiguration"] = processing({"Type": "AppendDelimiterToRecord", "Parameters": [
            {"ParameterName": "Delimiter", "ParameterValue": given}]})
    # ZSTD is not in botocore's enum, which the client does not check: the server's own check counts.
    server.firehose().create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(name, **more))
    sent = records()
    server.firehose().put_record_batch(DeliveryStreamName=name, Records=[{"Data": each} for each in sent])
    report = server.drained(name, len(sent))
    assert report["delivered"] == len(sent)
    objects = server.objects(name)
    assert len(objects) == 1, list(objects)
    ((key, body),) = objects.items()
    assert key.endswith(extension) and ("." in key.rsplit("/", 1)[1]) == bool(extension), key
    assert decode(body) == b"".join(each + tail for each in sent)


def test_many_puts_keep_their_order(server, name):
    """Order holds within a shard: one quiet connection meets one shard."""
    client = server.firehose()
    client.create_delivery_stream(DeliveryStreamName=name,
                                  ExtendedS3DestinationConfiguration=destination(name, CompressionFormat="GZIP"))
    for start in range(0, 100, 10):
        client.put_record_batch(DeliveryStreamName=name,
                                Records=[{"Data": b"%d\n" % n} for n in range(start, start + 10)])
    server.drained(name, 100)
    decode = FORMATS["GZIP"][0]
    lines = [line for _, body in sorted(server.objects(name).items()) for line in decode(body).split()]
    assert sorted(map(int, lines)) == list(range(100))


def test_data_only_arrives_once_when_server_restarts(server, name):
    """Placed here for the shared server: what was delivered stays what it is after more is put."""
    client = server.firehose()
    client.create_delivery_stream(DeliveryStreamName=name,
                                  ExtendedS3DestinationConfiguration=destination(name))
    for text in (b"first\n", b"second\n"):
        client.put_record(DeliveryStreamName=name, Record={"Data": text})
        server.drained(name, 1)
    server.drained(name, 2)
    assert sorted(b"".join(server.objects(name).values()).split()) == [b"first", b"second"]


def test_percent_and_spaces_in_prefix(server, name):
    """A key is used as it stands; a local folder must not decode or lose any of it."""
    prefix = "a b/100%/ü=1+2/"
    server.firehose().create_delivery_stream(
        DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(name, Prefix=prefix))
    server.firehose().put_record(DeliveryStreamName=name, Record={"Data": b"x"})
    server.drained(name, 1)
    (key,) = server.objects(name)
    assert key.startswith(prefix) or urllib.parse.unquote(key).startswith(prefix)
