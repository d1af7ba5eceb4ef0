"""Delivery to real S3 servers: headers of the objects, a bucket that is not there yet, and the official
encryption clients, which decrypt ours and refuse a tampered one."""

import base64
import json
import os
import subprocess
import time
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from s3_encryption import CommitmentPolicy, S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.exceptions import S3EncryptionClientError
from s3_encryption.materials.keyring import S3Keyring
from s3_encryption.materials.materials import AlgorithmSuite

from decoders import FORMATS
from server import Server, destination
from test_parquet import HINTS, conversion

KEY = "orders"
WRAP = b"AES/GCM/NoPadding"


def s3_client(s3):
    """boto3 on the real server."""
    return boto3.client("s3", endpoint_url=s3["MILLRACE_TEST_S3_ENDPOINT"], region_name="us-east-1",
                        aws_access_key_id=s3["MILLRACE_TEST_S3_ACCESS_KEY_ID"],
                        aws_secret_access_key=s3["MILLRACE_TEST_S3_SECRET_ACCESS_KEY"],
                        config=Config(s3={"addressing_style": "path"}))


@pytest.fixture(scope="module")
def store(s3):
    """boto3's S3 client of the server that `millrace` delivers to."""
    return s3_client(s3)


@pytest.fixture(scope="module")
def millrace(s3, tmp_path_factory):
    """A server that delivers to the real S3 server, with a key in its ring."""
    data = tmp_path_factory.mktemp("s3-data")
    made = subprocess.run([os.environ["MILLRACE_TEST_BINARY"], "keys", "create", KEY, "--data-dir", str(data)],
                          capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    running = Server("--s3-endpoint", s3["MILLRACE_TEST_S3_ENDPOINT"], name="s3", data_dir=data, env={
        "AWS_ACCESS_KEY_ID": s3["MILLRACE_TEST_S3_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": s3["MILLRACE_TEST_S3_SECRET_ACCESS_KEY"]})
    yield running
    assert running.stop() == 0


@pytest.fixture
def bucket(store):
    """A new bucket."""
    made = f"b-{uuid.uuid4().hex[:12]}"
    store.create_bucket(Bucket=made)
    return made


def wrapping_key(millrace) -> bytes:
    """The key's bytes, from the ring's file."""
    for path in (millrace.data_dir / "keys").iterdir():
        try:
            for entry in json.loads(path.read_text())["keys"]:
                if entry["id"] == KEY:
                    return base64.b64decode(entry["key"])
        except (ValueError, KeyError, TypeError):
            continue
    pytest.fail("no key ring in the data folder")


def deliver(millrace, store, bucket, name, records, **more) -> list[dict]:
    """Puts records and waits: the bucket's objects."""
    client = millrace.firehose()
    client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(bucket, **more))
    client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": each} for each in records])
    millrace.drained(name, len(records))
    found = store.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [{"Key": each["Key"], **store.get_object(Bucket=bucket, Key=each["Key"])} for each in found]


@pytest.mark.parametrize("format", FORMATS)
def test_object_headers(s3, millrace, store, bucket, name, format):
    decode, extension, encoding = FORMATS[format]
    records = [b"%d\n" % n for n in range(100)]
    (found,) = deliver(millrace, store, bucket, name, records, CompressionFormat=format)
    assert decode(found["Body"].read()) == b"".join(records)
    assert found["Key"].endswith(extension)
    # SeaweedFS puts its own guess, by the key's extension, in the place of this type.
    assert found["ContentType"] == "application/octet-stream" or s3["MILLRACE_TEST_S3_NAME"] == "seaweedfs"
    assert found.get("ContentEncoding") in (encoding, "" if encoding is None else encoding)
    told = found["Metadata"]
    assert told["millrace-records"] == "100" and told["millrace-shard"]
    assert int(told["millrace-last-sequence"]) - int(told["millrace-first-sequence"]) == 99


def test_missing_bucket_parks_and_recovers(millrace, store, name):
    """No bucket: nothing is dropped, the status says why; once it is there the records arrive, once."""
    late = f"late-{uuid.uuid4().hex[:10]}"
    client = millrace.firehose()
    client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(late))
    client.put_record(DeliveryStreamName=name, Record={"Data": b"patient\n"})
    deadline = time.monotonic() + 30
    while not (report := millrace.status(name))["parked"] and not report["delivered"]:
        assert time.monotonic() < deadline, report
        time.sleep(0.1)
    if report["delivered"]:
        # SeaweedFS makes the bucket itself for a user who may.
        assert late in [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]
    else:
        assert report["parked"]["code"] == "NoSuchBucket" and late in report["parked"]["message"]
        assert report["pending"] == 1 and report["failed"] == report["dropped"] == 0
        store.create_bucket(Bucket=late)
    client.put_record(DeliveryStreamName=name, Record={"Data": b"more\n"})
    millrace.drained(name, 2)
    bodies = b"".join(store.get_object(Bucket=late, Key=each["Key"])["Body"].read()
                      for each in store.list_objects_v2(Bucket=late)["Contents"])
    assert sorted(bodies.split()) == [b"more", b"patient"]


def test_large_object_by_parts(millrace, store, bucket, name):
    """More than one part of a multipart upload arrives whole."""
    records = [os.urandom(900_000) for _ in range(4)]
    client = millrace.firehose()
    client.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration=destination(
        bucket, BufferingHints={"SizeInMBs": 128, "IntervalInSeconds": 200}))
    for _ in range(10):
        client.put_record_batch(DeliveryStreamName=name, Records=[{"Data": each} for each in records])
    millrace.drained(name, 40)
    total = b"".join(store.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
                     for each in store.list_objects_v2(Bucket=bucket)["Contents"])
    assert len(total) == 40 * 900_000 and all(total.count(each) == 10 for each in records)


# --- client-side encryption ---------------------------------------------------------------------------------------

def encryption(**more) -> dict:
    """Members of a destination that names the ring's key."""
    arn = f"arn:aws:kms:us-east-1:000000000000:key/{KEY}"
    return {"EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": arn}}, **more}


class RawAesKeyring(S3Keyring):
    """The raw AES key ring that the Java client has and the Python client leaves to its user."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def on_encrypt(self, enc_materials):
        raise NotImplementedError("this ring only reads")

    def on_decrypt(self, dec_materials, encrypted_data_keys=None):
        dec_materials = super().on_decrypt(dec_materials, encrypted_data_keys)
        (wrapped,) = encrypted_data_keys or dec_materials.encrypted_data_keys
        assert wrapped.key_provider_info == "AES/GCM"
        sealed = wrapped.encrypted_data_key
        dec_materials.plaintext_data_key = AESGCM(self.key).decrypt(sealed[:12], sealed[12:], WRAP)
        return dec_materials


def python_read(s3, millrace, bucket, keys, _folder=None) -> list[bytes | None]:
    """The objects, by the official Python client; `None` for one that it refuses."""
    client = S3EncryptionClient(s3_client(s3), S3EncryptionClientConfig(
        keyring=RawAesKeyring(wrapping_key(millrace)),
        encryption_algorithm=AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
        commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT))
    out = []
    for key in keys:
        try:
            out.append(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except S3EncryptionClientError:
            out.append(None)
    return out


def java_read(s3, millrace, bucket, keys, folder: Path) -> list[bytes | None]:
    """The same by the official Java client."""
    classes = os.environ.get("MILLRACE_TEST_JAVA_CLASSES")
    if not classes:
        pytest.skip("Java with Maven is not installed")
    ran = subprocess.run(
        ["java", "-cp", f"{classes}/*", str(Path(__file__).parent / "java" / "Decrypt.java"),
         s3["MILLRACE_TEST_S3_ENDPOINT"], bucket, base64.b64encode(wrapping_key(millrace)).decode(), str(folder), *keys],
        env={**os.environ, **s3}, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    files = [folder / str(index) for index in range(len(keys))]
    return [file.read_bytes() if file.exists() else None for file in files]


def tamper(store, bucket, found, body: bytes, where: int) -> str:
    """A copy of the object with one bit turned; its key."""
    wrong = bytearray(body)
    wrong[where] ^= 1
    key = f"{found['Key']}-tampered-{where}"
    store.put_object(Bucket=bucket, Key=key, Body=bytes(wrong), Metadata=found["Metadata"])
    return key


@pytest.mark.parametrize("reader", ["python", "java"])
@pytest.mark.parametrize("format", ["UNCOMPRESSED", "GZIP", "ZSTD"])
def test_official_client_decrypts(s3, millrace, store, bucket, name, tmp_path, reader, format):
    records = [b"secret %d\n" % n for n in range(500)]
    (found,) = deliver(millrace, store, bucket, name, records, **encryption(CompressionFormat=format))
    body = found["Body"].read()
    assert b"secret" not in body
    assert found["Metadata"]["x-amz-cek-alg"] == "AES/GCM/NoPadding"
    assert found["Metadata"]["x-amz-wrap-alg"] == "AES/GCM" and found["Metadata"]["x-amz-tag-len"] == "128"

    keys = [found["Key"], *(tamper(store, bucket, found, body, where) for where in (0, len(body) // 2, -1))]
    read = java_read if reader == "java" else python_read
    whole, *tampered = read(s3, millrace, bucket, keys, tmp_path)
    assert FORMATS[format][0](whole) == b"".join(records)
    assert tampered == [None, None, None]


def test_encrypted_parquet_and_error_objects(s3, millrace, store, bucket, name):
    """Error objects of an encrypted destination are ciphertext too."""
    import io

    import pyarrow.parquet
    more = encryption(**conversion("ZSTD"))
    assert more["BufferingHints"] == HINTS
    found = deliver(millrace, store, bucket, name, [b'{"id":1}', b"{broken secret", b'{"id":2}'], **more)
    kinds = {}
    for each in found:
        assert b"secret" not in each["Body"].read()
        (kinds["bad" if "format-conversion-failed/" in each["Key"] else "good"],) = python_read(
            s3, millrace, bucket, [each["Key"]])
    assert [row["id"] for row in pyarrow.parquet.read_table(io.BytesIO(kinds["good"])).to_pylist()] == [1, 2]
    assert base64.b64decode(json.loads(kinds["bad"])["rawData"]) == b"{broken secret"


def test_each_object_has_its_own_data_key(millrace, store, bucket, name):
    client = millrace.firehose()
    client.create_delivery_stream(DeliveryStreamName=name,
                                  ExtendedS3DestinationConfiguration=destination(bucket, **encryption()))
    for index in range(2):
        client.put_record(DeliveryStreamName=name, Record={"Data": b"same"})
        millrace.drained(name, index + 1)
    heads = [store.head_object(Bucket=bucket, Key=each["Key"])["Metadata"]
             for each in store.list_objects_v2(Bucket=bucket)["Contents"]]
    assert len(heads) == 2
    for member in ("x-amz-key-v2", "x-amz-iv"):
        assert heads[0][member] != heads[1][member]


def test_unknown_key_is_refused_or_parks(millrace, bucket, name):
    """A key that is not in the ring: told at create, or by a parked stream; never plain text in the bucket."""
    arn = "arn:aws:kms:us-east-1:000000000000:key/nobody"
    answer = millrace.call("CreateDeliveryStream", {
        "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination(
            bucket, EncryptionConfiguration={"KMSEncryptionConfig": {"AWSKMSKeyARN": arn}})})
    if answer.status != 200:
        assert "nobody" in answer.error[1], answer.body
        return
    millrace.firehose().put_record(DeliveryStreamName=name, Record={"Data": b"x"})
    deadline = time.monotonic() + 30
    while not (report := millrace.status(name))["parked"]:
        assert time.monotonic() < deadline and report["delivered"] == 0, report
        time.sleep(0.1)
    assert "nobody" in report["parked"]["message"]
