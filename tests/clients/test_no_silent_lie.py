"""Walks every member of CreateDeliveryStream in botocore's model: a request that holds it is either refused by
an error that names the member (or one above it), or what it said can be read again. There is no third way."""

import copy
import json
import re

import botocore.session
import pytest

from server import ROLE, destination, lambda_processor, processing

MODEL = botocore.session.get_session().get_service_model("firehose")
INPUT = MODEL.operation_model("CreateDeliveryStream").input_shape
EXTENDED, CLASSIC = "ExtendedS3DestinationConfiguration", "S3DestinationConfiguration"
CONVERSION = {
    "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
    "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
}
HINTS = {"SizeInMBs": 64, "IntervalInSeconds": 60}
# Texts that satisfy a member's pattern, by its name.
TEXTS = {
    "RoleARN": ROLE, "RoleArn": ROLE, "BucketARN": "arn:aws:s3:::walked", "Prefix": "walked/",
    "ErrorOutputPrefix": "walked-errors/", "AWSKMSKeyARN": "arn:aws:kms:us-east-1:000000000000:key/walked",
    "KeyARN": "arn:aws:kms:us-east-1:000000000000:key/walked", "FileExtension": ".walked",
    "CustomTimeZone": "Asia/Tokyo", "LogGroupName": "walked", "LogStreamName": "walked", "Region": "eu-west-1",
    "CatalogId": "000000000000", "VersionId": "7", "DatabaseName": "walked", "TableName": "walked",
    "KinesisStreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/walked",
    "ClusterJDBCURL": "jdbc:redshift://walked.abc.us-east-1.redshift.amazonaws.com:5439/db",
    "DomainARN": "arn:aws:es:us-east-1:000000000000:domain/walked", "Url": "https://walked.example.com",
    "HECEndpoint": "https://walked.example.com:8088", "Key": "walked", "Value": "walked",
    "SecretARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:walked",
    "ClusterEndpoint": "https://walked.example.com", "CollectionEndpoint": "https://walked.example.com",
    "AccountUrl": "https://walked.snowflakecomputing.com", "WarehouseLocation": "s3://walked",
    "CatalogARN": "arn:aws:glue:us-east-1:000000000000:catalog", "Endpoint": "walked.example.com",
    "MSKClusterARN": "arn:aws:kafka:us-east-1:000000000000:cluster/walked/a",
}
PARAMETERS = {
    "LambdaArn": "arn:aws:lambda:us-east-1:000000000000:function:walked", "NumberOfRetries": "7", "RoleArn": ROLE,
    "MetadataExtractionQuery": "{k:.k}", "JsonParsingEngine": "JQ-1.6", "BufferSizeInMBs": "2",
    "BufferIntervalInSeconds": "77", "SubRecordType": "JSON", "Delimiter": "\\t", "CompressionFormat": "GZIP",
    "DataMessageExtraction": "true",
}


def leaves(shape, path=(), above=()):
    """Every (path, leaf shape): lists by `0`, maps by `walked`; a shape inside itself is not entered again."""
    if shape.name in above:
        return
    above = (*above, shape.name)
    if shape.type_name == "structure" and shape.members:
        for member, inner in shape.members.items():
            yield from leaves(inner, (*path, member), above)
    elif shape.type_name == "list":
        yield from leaves(shape.member, (*path, 0), above)
    elif shape.type_name == "map":
        yield from leaves(shape.value, (*path, "walked"), above)
    else:
        yield path, shape


def values(path, shape):
    """What to try for a leaf: each value of an enum, both booleans, else one that is not the default."""
    if shape.type_name == "boolean":
        return [True, False]
    if shape.type_name == "string":
        if shape.enum:
            return list(shape.enum)
        # Any other text must fill the least length.
        return [TEXTS.get(path[-1], "walked".ljust(shape.metadata.get("min", 0), "x"))]
    if shape.type_name in ("integer", "long"):
        return [shape.metadata.get("min", 0) + 3]
    if shape.type_name in ("double", "float"):
        return [0.5]
    return [1700000000] if shape.type_name == "timestamp" else ["d2Fsa2Vk"]


def skeleton(shape, path):
    """The least value of `shape` along `path`: required members filled, also beside it."""
    if shape.type_name == "structure":
        out = {}
        for member in shape.required_members:
            if not path or member != path[0]:
                out[member] = skeleton(shape.members[member], ())
        if path:
            out[path[0]] = skeleton(shape.members[path[0]], path[1:])
        return out
    if shape.type_name == "list":
        return [skeleton(shape.member, path[1:])]
    if shape.type_name == "map":
        return {"walked": skeleton(shape.value, path[1:])}
    return values(("",), shape)[0]


def assign(target, path, value):
    """Sets `value` at `path` inside `target`."""
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value


def fill_texts(value):
    """Puts texts that satisfy patterns into a skeleton."""
    if isinstance(value, dict):
        for key, inner in value.items():
            value[key] = TEXTS[key] if isinstance(inner, str) and key in TEXTS else fill_texts(inner)
    elif isinstance(value, list):
        value[:] = [fill_texts(inner) for inner in value]
    return value


def merged(base, over):
    """`over` laid on `base`, deep."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base[key], inner) if key in base else inner for key, inner in over.items()}}
    return over


def companions(path, value) -> dict:
    """What AWS demands beside a member, so that it can be taken at all."""
    inner = path[1:]
    if inner[:1] == ("DataFormatConversionConfiguration",):
        conversion = copy.deepcopy(CONVERSION)
        if "HiveJsonSerDe" in inner:
            del conversion["InputFormatConfiguration"]["Deserializer"]["OpenXJsonSerDe"]
        if "OrcSerDe" in inner:
            del conversion["OutputFormatConfiguration"]["Serializer"]["ParquetSerDe"]
        if "SchemaConfiguration" in inner:
            conversion["SchemaConfiguration"] = {"RoleARN": ROLE, "DatabaseName": "walked", "TableName": "walked"}
        return {"DataFormatConversionConfiguration": conversion, "BufferingHints": HINTS}
    if inner[:1] == ("DynamicPartitioningConfiguration",):
        more = {"BufferingHints": HINTS, "DynamicPartitioningConfiguration": {"Enabled": True}}
        if inner[-1] == "Enabled" and value is False:
            return {}
        return {**more, "Prefix": "!{partitionKeyFromLambda:k}/",
                "ErrorOutputPrefix": "e/!{firehose:error-output-type}/",
                "ProcessingConfiguration": processing(lambda_processor("walked"))}
    if inner == ("ProcessingConfiguration", "Enabled"):
        return {"ProcessingConfiguration": {"Processors": [lambda_processor("walked")]}}
    if inner[:1] == ("CloudWatchLoggingOptions",):
        return {"CloudWatchLoggingOptions": {"Enabled": True, "LogGroupName": "walked", "LogStreamName": "walked"}}
    if inner[:1] == ("BufferingHints",):
        return {"BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 20}}
    return {}


def request(name, path, value):
    """The request that says `value` at `path`, and is otherwise as small as AWS takes it."""
    built = fill_texts(skeleton(INPUT, path))
    built["DeliveryStreamName"] = name
    assign(built, path, value)
    if path[0] in (EXTENDED, CLASSIC):
        base = merged(destination(name), companions(path, value))
        if path[1] not in ("RoleARN", "BucketARN"):
            built[path[0]].pop("RoleARN", None), built[path[0]].pop("BucketARN", None)
        built[path[0]] = merged(base, built[path[0]])
    elif not path[0].endswith("DestinationConfiguration"):
        built[EXTENDED] = destination(name)
    return built


def shown_at(description: dict, path):
    """Values of the description where AWS shows what `path` said."""
    if path[0] in (EXTENDED, CLASSIC):
        shape = path[0].replace("Configuration", "Description")
        here = description["Destinations"][0].get(shape, {})
        steps = ["S3BackupDescription" if step == "S3BackupConfiguration" else step for step in path[1:]]
    elif path[0] == "DirectPutSourceConfiguration":
        here, steps = description.get("Source", {}).get("DirectPutSourceDescription", {}), path[1:]
    elif path[0] == "DeliveryStreamEncryptionConfigurationInput":
        here, steps = description.get("DeliveryStreamEncryptionConfiguration", {}), path[1:]
    else:
        here, steps = description, path
    for step in steps:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            return None
    return here


def shown_tags(server, name):
    """Tags are read by an operation of their own."""
    answer = server.call("ListTagsForDeliveryStream", {"DeliveryStreamName": name})
    return answer.json()["Tags"] if answer.status == 200 else None


def check(server, name, path, value):
    """One member with one value: `None` when it is treated honestly, else what is wrong."""
    sent = request(name, path, value)
    answer = server.call("CreateDeliveryStream", sent)
    label = ".".join(str(step) for step in path) + f" = {value!r}"
    if answer.status != 200:
        kind, message = answer.error
        said = re.sub("[^a-z0-9]", "", message.lower())
        own = [step for step in path if isinstance(step, str) and step not in (EXTENDED, CLASSIC, "walked")]
        # A value may be named in the member's stead: `CustomTimeZone` is written "custom time zone", `ORC` etc.
        if any(re.sub("[^a-z0-9]", "", step.lower()) in said for step in own) or str(value).lower() in message.lower():
            return None
        return f"{label}: refused without its name: {kind}: {message} (sent {json.dumps(sent)[:600]})"
    described = server.call("DescribeDeliveryStream", {"DeliveryStreamName": name})
    description = described.json()["DeliveryStreamDescription"]
    seen = shown_tags(server, name) if path[0] == "Tags" else shown_at(description, path)
    server.call("DeleteDeliveryStream", {"DeliveryStreamName": name})
    if path[0] == "Tags":
        return None if seen == sent["Tags"] else f"{label}: accepted, and ListTagsForDeliveryStream shows {seen}"
    if seen == value or (path == ("DeliveryStreamName",) and seen == name):
        return None
    return f"{label}: accepted, and Describe shows {seen!r} there"


@pytest.fixture(scope="module", autouse=True)
def _table(server):
    """The table that requests name, so that one is not refused for its absence."""
    answer = server.own("PUT", "/v1/schemas/walked/walked", b'{"columns":[{"name":"a","type":"string"}]}')
    assert answer.status in (200, 201), answer.body


CASES = [(path, value) for path, shape in leaves(INPUT) for value in values(path, shape)
         if path != ("DeliveryStreamName",) and "ParameterName" not in path and "ParameterValue" not in path]
GROUPS = sorted({path[:2] if path[0] in (EXTENDED, CLASSIC) else path[:1] for path, _ in CASES}, key=str)


@pytest.mark.parametrize("group", GROUPS, ids=[".".join(map(str, group)) for group in GROUPS])
def test_member(server, name, group):
    faults = []
    cases = [(path, value) for path, value in CASES if path[:len(group)] == group]
    for index, (path, value) in enumerate(cases):
        fault = check(server, f"{name}-{index}", path, value)
        faults += [fault] if fault else []
    assert not faults, "\n".join([f"{len(faults)} of {len(cases)}:", *faults])


PROCESSORS = ["RecordDeAggregation", "Decompression", "CloudWatchLogProcessing", "Lambda", "MetadataExtraction",
              "AppendDelimiterToRecord"]


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_processor_parameter(server, name, kind, parameter):
    """Each parameter on each processor: shown again, or refused by the name of one of them."""
    given = {parameter: PARAMETERS[parameter]}
    if kind == "Lambda":
        given.setdefault("LambdaArn", PARAMETERS["LambdaArn"])
        if parameter.startswith("Buffer"):
            given |= {key: PARAMETERS[key] for key in ("BufferSizeInMBs", "BufferIntervalInSeconds")}
    parameters = [{"ParameterName": key, "ParameterValue": value} for key, value in given.items()]
    configuration = destination(name, ProcessingConfiguration=processing({"Type": kind, "Parameters": parameters}))
    answer = server.call("CreateDeliveryStream", {"DeliveryStreamName": name, EXTENDED: configuration})
    if answer.status != 200:
        message = answer.error[1].lower()
        assert kind.lower() in message or parameter.lower() in message, answer.body
        return
    description = server.call("DescribeDeliveryStream", {"DeliveryStreamName": name}).json()
    shown = json.dumps(shown_at(description["DeliveryStreamDescription"], (EXTENDED, "ProcessingConfiguration")))
    assert json.dumps({"ParameterName": parameter, "ParameterValue": PARAMETERS[parameter]}) in shown


def structures(shape, path=(), above=()):
    """Every path to a structure."""
    if shape.name in above:
        return
    if shape.type_name == "structure":
        yield path
        for member, inner in shape.members.items():
            yield from structures(inner, (*path, member), (*above, shape.name))
    elif shape.type_name == "list":
        yield from structures(shape.member, (*path, 0), (*above, shape.name))


@pytest.mark.parametrize("top", ["", *INPUT.members])
def test_unknown_member(server, name, top):
    """A member that the model does not have, in every structure, is refused by its name or one above it."""
    faults = []
    paths = [path for path in structures(INPUT) if (path[:1] or ("",))[0] == top]
    for index, path in enumerate(paths):
        sent = request_with_structure(f"{name}-{index}", path)
        assign(sent, (*path, "Bogus"), 1)
        answer = server.call("CreateDeliveryStream", sent)
        names = ["Bogus", *(step for step in path if isinstance(step, str) and step not in (EXTENDED, CLASSIC))]
        if answer.status == 200 or not any(step.lower() in answer.error[1].lower() for step in names):
            faults.append(f"{'.'.join(map(str, path))}: {answer.status} {answer.body[:300]!r}")
    assert not faults, "\n".join(faults)


def request_with_structure(name, path):
    """A request that holds the structure at `path`, for one member more."""
    built = fill_texts(skeleton(INPUT, path))
    built["DeliveryStreamName"] = name
    for top in (EXTENDED, CLASSIC):
        if top in built:
            built[top] = merged(merged(destination(name), companions(path, True)), built[top])
    if not any(member.endswith("DestinationConfiguration") for member in built):
        built[EXTENDED] = destination(name)
    return built
