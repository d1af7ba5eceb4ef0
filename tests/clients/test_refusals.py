"""Bad input, past the checks of an SDK: each case is refused with AWS's type and text, and nothing is kept."""

import base64
import datetime
import json

import pytest

from server import TARGET, destination, lambda_processor, processing

NOW = datetime.datetime.now
UTC = datetime.timezone.utc


def constraint(path: str, rule: str) -> tuple[str, str]:
    """The error of a model constraint."""
    return ("ValidationException",
            f"1 validation error detected: Value at '{path}' failed to satisfy constraint: {rule}")


NULL = "Member must not be null"
BIG = base64.b64encode(bytes(1_024_001)).decode()
# Operation, members beside the stream's name, error type and message ("" = any that says something).
PUTS = {
    "record over 1000 KiB": (
        "PutRecord", {"Record": {"Data": BIG}},
        constraint("record.data", "Member must have length less than or equal to 1024000")),
    "record is missing": ("PutRecord", {}, constraint("record", NULL)),
    "data is missing": ("PutRecord", {"Record": {}}, constraint("record.data", NULL)),
    "data is null": ("PutRecord", {"Record": {"Data": None}}, constraint("record.data", NULL)),
    "data is no text": ("PutRecord", {"Record": {"Data": 1}}, ("SerializationException", "")),
    "record is no object": ("PutRecord", {"Record": "eA=="}, ("SerializationException", "")),
    "bad base64 letter": ("PutRecord", {"Record": {"Data": "e!=="}}, ("SerializationException", "")),
    "bad base64 length": ("PutRecord", {"Record": {"Data": "abcde"}}, ("SerializationException", "")),
    "url-safe base64": ("PutRecord", {"Record": {"Data": "__-_"}}, ("SerializationException", "")),
    "unknown member": ("PutRecord", {"Record": {"Data": "eA=="}, "Bogus": 1}, ("", "Bogus")),
    "unknown member of the record": ("PutRecord", {"Record": {"Data": "eA==", "Bogus": 1}}, ("", "Bogus")),
    "no records": ("PutRecordBatch", {"Records": []}, constraint(
        "records", "Member must have length greater than or equal to 1")),
    "records are missing": ("PutRecordBatch", {}, constraint("records", NULL)),
    "501 records": ("PutRecordBatch", {"Records": [{"Data": "eA=="}] * 501}, constraint(
        "records", "Member must have length less than or equal to 500")),
    "batch over 4 MiB": ("PutRecordBatch", {"Records": [{"Data": base64.b64encode(bytes(1_000_000)).decode()}] * 5},
                         ("InvalidArgumentException", "4")),
    "one bad record of a batch": ("PutRecordBatch", {"Records": [{"Data": "eA=="}, {"Data": "%"}]},
                                  ("SerializationException", "")),
}


def refused(answer, kind: str, text: str) -> None:
    """Checks an error: its status, its type, its whole text when it is a constraint's, else a part of it."""
    assert answer.status == 400, answer.body
    got, message = answer.error
    assert got.split("#")[-1] == kind or not kind
    if text.startswith("1 validation error"):
        assert message == text
    else:
        assert text.lower() in message.lower() and message


@pytest.mark.parametrize("case", PUTS)
def test_put(server, create, case):
    operation, more, (kind, text) = PUTS[case]
    stream = create()
    refused(server.call(operation, {"DeliveryStreamName": stream, **more}), kind, text)
    assert server.status(stream)["accepted"] == 0


@pytest.mark.parametrize("bad, rule", [
    ("", "Member must have length greater than or equal to 1"),
    ("x" * 65, "Member must have length less than or equal to 64"),
    ("a b", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
    ("../x", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
    ("ü", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
])
@pytest.mark.parametrize("operation", ["CreateDeliveryStream", "DescribeDeliveryStream", "PutRecord"])
def test_stream_name(server, operation, bad, rule):
    more = {"CreateDeliveryStream": {"ExtendedS3DestinationConfiguration": destination("bucket")},
            "PutRecord": {"Record": {"Data": "eA=="}}}.get(operation, {})
    answer = server.call(operation, {"DeliveryStreamName": bad, **more})
    assert answer.status == 400 and answer.error[0].endswith("ValidationException"), answer.body
    assert f"'deliveryStreamName' failed to satisfy constraint: {rule}" in answer.error[1]


BODIES = {
    "empty": b"", "no JSON": b"{", "trailing rubbish": b'{"Limit":1}x', "array": b"[]", "text": b'"x"', "null": b"null",
    "not UTF-8": b'{"DeliveryStreamName":"\xff"}', "number for text": b'{"DeliveryStreamName":1}',
    "deep arrays": b'{"DeliveryStreamName":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "lone surrogate": b'{"DeliveryStreamName":"\\ud800"}',
}


@pytest.mark.parametrize("case", BODIES)
def test_body(server, case):
    answer = server.signed(BODIES[case], "DescribeDeliveryStream")
    assert answer.status == 400, answer.body
    assert answer.error[0].split("#")[-1] in ("SerializationException", "ValidationException"), answer.body
    assert answer.error[1]


DOUBLED = {
    "PutRecord": b'{"DeliveryStreamName":"%s","DeliveryStreamName":"%s","Record":{"Data":"eA=="}}',
    "PutRecordBatch": b'{"DeliveryStreamName":"%s","Records":[{"Data":"eA=="}],"DeliveryStreamName":"%s"}',
    "DescribeDeliveryStream": b'{"DeliveryStreamName":"%s","DeliveryStreamName":"%s"}',
    "DeleteDeliveryStream": b'{"DeliveryStreamName":"%s","DeliveryStreamName":"%s"}',
}


@pytest.mark.parametrize("operation", DOUBLED)
def test_member_given_twice(server, create, operation):
    """Of two, one would be ignored: which one differs between readers of JSON."""
    stream = create()
    answer = server.signed(DOUBLED[operation] % (stream.encode(), stream.encode()), operation)
    refused(answer, "SerializationException", "The member DeliveryStreamName is given twice in one object")
    assert server.status(stream)["accepted"] == 0


def test_unknown_operation_and_target(server):
    for target in ("Firehose_20150804.Explode", "Other.PutRecord", "PutRecord", ""):
        answer = server.signed(b"{}", headers={"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"})
        assert answer.status in (400, 404), answer.body
        assert answer.error[0].split("#")[-1] in ("UnknownOperationException", "SerializationException")


# What goes wrong with the signature, and the types that AWS answers.
SIGNATURES = {
    "wrong secret": ({"secret": "wrong"}, ("InvalidSignatureException",)),
    "unknown key": ({"key_id": "AKIDNOBODY"}, ("UnrecognizedClientException", "InvalidSignatureException")),
    "six minutes ago": ({"when": -360}, ("InvalidSignatureException",)),
    "in six minutes": ({"when": 360}, ("InvalidSignatureException",)),
    "another body's hash": ({"payload_hash": "0" * 64}, ("InvalidSignatureException",)),
    "unsigned payload": ({"payload_hash": "UNSIGNED-PAYLOAD"}, ()),
    "streaming payload": ({"payload_hash": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, ()),
    "another service": ({"service": "s3"}, ()),
    "target not signed": ({"unsigned": ("X-Amz-Target",)}, ()),
    "host not signed": ({"unsigned": ("Host",)}, ()),
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_signature(server, create, case):
    stream = create()
    wrong, kinds = SIGNATURES[case]
    wrong = dict(wrong)
    if "when" in wrong:
        wrong["when"] = NOW(UTC) + datetime.timedelta(seconds=wrong["when"])
    body = json.dumps({"DeliveryStreamName": stream, "Record": {"Data": "eA=="}}).encode()
    answer = server.signed(body, "PutRecord", **wrong)
    assert answer.status in (400, 403), answer.body
    assert answer.error[0].split("#")[-1] in kinds or not kinds, answer.body
    assert answer.error[1]
    assert server.status(stream)["accepted"] == 0


@pytest.mark.parametrize("seconds", [-240, 240])
def test_four_minutes_of_skew_are_fine(server, create, seconds):
    body = json.dumps({"DeliveryStreamName": create()}).encode()
    when = NOW(UTC) + datetime.timedelta(seconds=seconds)
    assert server.signed(body, "DescribeDeliveryStream", when=when).status == 200


def test_scope_without_service_is_taken(server, create):
    """Some signers leave the service empty for 127.0.0.1: the target names it."""
    body = json.dumps({"DeliveryStreamName": create()}).encode()
    answer = server.signed(body, "DescribeDeliveryStream", service="")
    assert answer.status in (200, 400, 403), answer.body


@pytest.mark.parametrize("authorization", [
    None, "", "Basic eDp5", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "Bearer nonsense",
    "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/firehose/aws4_request, SignedHeaders=host, Signature=00",
    "AWS4-ECDSA-P256-SHA256 Credential=a/20260101/firehose/aws4_request, SignedHeaders=host, Signature=00"])
def test_without_signature(server, authorization):
    headers = {"X-Amz-Target": TARGET + "ListDeliveryStreams", "Content-Type": "application/x-amz-json-1.1"}
    if authorization is not None:
        headers["Authorization"] = authorization
    answer = server.send("POST", "/", headers, b"{}")
    assert answer.status in (400, 401, 403), answer.body
    assert answer.error[0].split("#")[-1].endswith("Exception") and answer.error[1]


def test_query_signature_is_refused(server):
    query = ("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDTESTCLIENTS%2F20260101%2Fus-east-1%2Ffirehose"
             "%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature=00")
    headers = {"X-Amz-Target": TARGET + "ListDeliveryStreams", "Content-Type": "application/x-amz-json-1.1"}
    answer = server.send("POST", "/?" + query, headers, b"{}")
    assert answer.status in (400, 403), answer.body
    mixed = server.signed(b"{}", "ListDeliveryStreams", path="/?" + query)
    assert mixed.status in (400, 403), mixed.body


CONVERSION = {
    "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
    "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
}
HINTS = {"SizeInMBs": 64, "IntervalInSeconds": 60}
LAMBDA_PREFIX = {"Prefix": "!{partitionKeyFromLambda:k}/", "ErrorOutputPrefix": "e/!{firehose:error-output-type}/"}
ERROR_PREFIX = {"ErrorOutputPrefix": "e/!{firehose:error-output-type}/"}
# Members of the destination, and the text of the InvalidArgumentException.
SEMANTICS = {
    "expression without error prefix": (
        {"Prefix": "!{timestamp:yyyy}/"}, "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"),
    "error prefix without its type": (
        {"Prefix": "a/", "ErrorOutputPrefix": "!{timestamp:yyyy}/"},
        "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}"),
    "type in the prefix": (
        {"Prefix": "!{firehose:error-output-type}/", **ERROR_PREFIX},
        "Prefix must not contain any occurrence of !{firehose:error-output-type}"),
    "stray expression": ({"Prefix": "a!{b", **ERROR_PREFIX}, "Invalid expression usage"),
    "bad namespace": ({"Prefix": "!{nope:x}/", **ERROR_PREFIX},
                      "Namespace to the left of colon (nope) is an invalid keyword!"),
    "bad letter": ({"Prefix": "!{timestamp:b}/", **ERROR_PREFIX},
                   "Invalid conversion character used in the value of the expression in Prefix"),
    "evaluated too long": ({"Prefix": "x" * 600}, "Length of evaluated prefix cannot be greater than 512"),
    "control character": ({"Prefix": "a\0b/"},
                          "Prefix holds the control character U+0000, which no key may hold"),
    "control character of the error prefix": (
        {"Prefix": "a/", "ErrorOutputPrefix": "e\t/"},
        "ErrorOutputPrefix holds the control character U+0009, which no key may hold"),
    "dots": ({"Prefix": "a/../b/"},
             "Prefix makes a key with a segment '.' or '..', which URLs and folders resolve away"),
    "segment over 255 bytes": (
        {"Prefix": "x" * 256 + "/"}, "Prefix makes a key with 256 bytes between two slashes (dates at their longest, the "
        "object's name and FileExtension counted); at most 255 are taken"),
    "a date that prints longer than it is written": (
        {"Prefix": "!{timestamp:" + "EEEE/" * 52 + "}/", **ERROR_PREFIX},
        "Length of evaluated prefix cannot be greater than 512"),
    "timestamp format": (
        {"DataFormatConversionConfiguration": {**CONVERSION, "InputFormatConfiguration": {
            "Deserializer": {"HiveJsonSerDe": {"TimestampFormats": ["yyyy-QQ"]}}}}, "BufferingHints": HINTS},
        "HiveJsonSerDe.TimestampFormats holds yyyy-QQ, which is neither millis nor a pattern of y M d H h m s S a Z E and "
        "quoted text"),
    "time zone": ({"CustomTimeZone": "EST"}, "Provided custom time zone is not supported. Custom time zones are "
                  "limited to UTC and non-3-letter IANA time zones."),
    "new time zone name": ({"CustomTimeZone": "Asia/Kolkata"}, "Provided custom time zone is not supported. Custom "
                           "time zones are limited to UTC and non-3-letter IANA time zones."),
    "two encryptions": ({"EncryptionConfiguration": {
        "NoEncryptionConfig": "NoEncryption",
        "KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"}}},
        "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified"),
    "no encryption at all": ({"EncryptionConfiguration": {}},
                             "Exactly one of NoEncryptionConfig or KMSEncryptionConfig must be specified"),
    "conversion, small buffer": ({"DataFormatConversionConfiguration": CONVERSION},
                                 "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled."),
    "conversion and compression": (
        {"DataFormatConversionConfiguration": CONVERSION, "CompressionFormat": "GZIP"},
        "The S3 destination's compression format must be set to UNCOMPRESSED when data format conversion is enabled. "
        "To enable compression within the converted output format, set the appropriate serialization option in the "
        "output format configuration."),
    "conversion without input": (
        {"DataFormatConversionConfiguration": {"OutputFormatConfiguration": CONVERSION["OutputFormatConfiguration"]},
         "BufferingHints": HINTS}, "InputFormatConfiguration must not be null"),
    "conversion without output": (
        {"DataFormatConversionConfiguration": {"InputFormatConfiguration": CONVERSION["InputFormatConfiguration"]},
         "BufferingHints": HINTS}, "OutputFormatConfiguration must not be null"),
    "two deserializers": (
        {"DataFormatConversionConfiguration": {**CONVERSION, "InputFormatConfiguration": {
            "Deserializer": {"OpenXJsonSerDe": {}, "HiveJsonSerDe": {}}}}, "BufferingHints": HINTS},
        "More than one deserializer specified. Only one may be chosen."),
    "partitioning without its namespaces": (
        {"DynamicPartitioningConfiguration": {"Enabled": True}, "Prefix": "a/", "BufferingHints": HINTS},
        "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled"),
    "partitioning, small buffer": (
        {"DynamicPartitioningConfiguration": {"Enabled": True}, **LAMBDA_PREFIX},
        "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled."),
    "partition key in the error prefix": (
        {"DynamicPartitioningConfiguration": {"Enabled": True}, "BufferingHints": HINTS,
         "Prefix": LAMBDA_PREFIX["Prefix"],
         "ErrorOutputPrefix": "!{partitionKeyFromLambda:k}/!{firehose:error-output-type}/"},
        "Dynamic Partitioning Namespaces can't be part of an error prefix expression"),
    "no processor": ({"ProcessingConfiguration": processing()},
                     "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled."),
    "six processors": (
        {"ProcessingConfiguration": processing(*[{"Type": "AppendDelimiterToRecord"}] * 6)},
        "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled."),
    "no function": ({"ProcessingConfiguration": processing({"Type": "Lambda"})},
                    "LambdaArn is required when Lambda processor is used."),
    "two functions": ({"ProcessingConfiguration": processing(lambda_processor("a"), lambda_processor("b"))},
                      "Cannot have more than 1 Lambda processor."),
    "function ARN": ({"ProcessingConfiguration": processing({"Type": "Lambda", "Parameters": [
        {"ParameterName": "LambdaArn", "ParameterValue": "nonsense"}]})}, "Invalid lambda ARN."),
    "retries": ({"ProcessingConfiguration": processing(lambda_processor("a", NumberOfRetries="301"))},
                "Number of retries for lambda must be between 0 and 300."),
    "half a buffer": ({"ProcessingConfiguration": processing(lambda_processor("a", BufferSizeInMBs="1"))},
                      "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for "
                      "lambda processor."),
    "buffer size": ({"ProcessingConfiguration": processing(
        lambda_processor("a", BufferSizeInMBs="4", BufferIntervalInSeconds="60"))},
        "BufferSizeInMBs for lambda processor must be between 0.2 and 3."),
    "buffer interval": ({"ProcessingConfiguration": processing(
        lambda_processor("a", BufferSizeInMBs="1", BufferIntervalInSeconds="901"))},
        "BufferIntervalInSeconds for lambda processor must be between 0 and 900."),
    "logging without a group": ({"CloudWatchLoggingOptions": {"Enabled": True}},
                                "CloudWatch Log Group Name is required if CloudWatch Logging is enabled"),
    "backup without a place": ({"S3BackupMode": "Enabled"},
                               "S3 backup destination configuration is required when enabling S3 backup."),
}


@pytest.mark.parametrize("case", SEMANTICS)
def test_destination(server, name, case):
    more, text = SEMANTICS[case]
    answer = server.call("CreateDeliveryStream", {
        "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination(name, **more)})
    assert answer.status == 400, answer.body
    # What is not supported yet may be refused by its name before its rules are looked at.
    unsupported = any(member in answer.error[1] for member in more if member in ("CloudWatchLoggingOptions", "S3BackupMode"))
    assert answer.error[0].endswith("InvalidArgumentException"), answer.body
    assert answer.error[1] == text or unsupported
    assert server.call("DescribeDeliveryStream", {"DeliveryStreamName": name}).status == 400


CONSTRAINTS = {
    "compression": ({"CompressionFormat": "SNAPPY"}, "extendedS3DestinationConfiguration.compressionFormat",
                    "Member must satisfy enum value set: ["),
    "size": ({"BufferingHints": {"SizeInMBs": 129, "IntervalInSeconds": 60}},
             "extendedS3DestinationConfiguration.bufferingHints.sizeInMBs",
             "Member must have value less than or equal to 128"),
    "interval": ({"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 901}},
                 "extendedS3DestinationConfiguration.bufferingHints.intervalInSeconds",
                 "Member must have value less than or equal to 900"),
    "role": ({"RoleARN": "nonsense"}, "extendedS3DestinationConfiguration.roleARN",
             "Member must satisfy regular expression pattern: arn:.*:iam::\\d{12}:role/"),
    "bucket": ({"BucketARN": "arn:aws:s3:::"}, "extendedS3DestinationConfiguration.bucketARN",
               "Member must satisfy regular expression pattern: arn:.*:s3:::"),
    "prefix": ({"Prefix": "x" * 1025}, "extendedS3DestinationConfiguration.prefix",
               "Member must have length less than or equal to 1024"),
    "extension": ({"FileExtension": ".GZ"}, "extendedS3DestinationConfiguration.fileExtension",
                  "Member must satisfy regular expression pattern: "),
}


@pytest.mark.parametrize("case", CONSTRAINTS)
def test_constraint(server, name, case):
    more, path, rule = CONSTRAINTS[case]
    answer = server.call("CreateDeliveryStream", {
        "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination(name, **more)})
    assert answer.status == 400 and answer.error[0].endswith("ValidationException"), answer.body
    assert f"Value at '{path}' failed to satisfy constraint: {rule}" in answer.error[1]


@pytest.mark.parametrize("member", ["RoleARN", "BucketARN"])
def test_required_members(server, name, member):
    given = {key: value for key, value in destination(name).items() if key != member}
    answer = server.call("CreateDeliveryStream", {"DeliveryStreamName": name,
                                                 "ExtendedS3DestinationConfiguration": given})
    assert answer.status == 400 and answer.error[0].endswith("ValidationException"), answer.body
    path = f"extendedS3DestinationConfiguration.{member[0].lower()}{member[1:]}"
    assert f"Value at '{path}' failed to satisfy constraint: {NULL}" in answer.error[1]


def test_exactly_one_destination(server, name):
    text = "Exactly one destination configuration is supported for a Firehose"
    none = server.call("CreateDeliveryStream", {"DeliveryStreamName": name})
    both = server.call("CreateDeliveryStream", {
        "DeliveryStreamName": name, "ExtendedS3DestinationConfiguration": destination(name),
        "S3DestinationConfiguration": destination(name)})
    for answer in (none, both):
        assert answer.status == 400 and answer.error == ("InvalidArgumentException", text), answer.body


def test_body_over_the_limit_is_refused(server):
    """More than any request may have; the server must neither keep it nor die."""
    answer = server.signed(b'{"DeliveryStreamName":"' + b"x" * (16 << 20) + b'"}', "DescribeDeliveryStream")
    assert answer.status in (400, 413), answer.body[:200]
    assert server.call("ListDeliveryStreams", {}).status == 200
