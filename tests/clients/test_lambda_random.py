"""Random valid and invalid requests made from botocore's model of Lambda: no 5xx, and every answer has exactly the
model's shape."""

import json
import os
import random
import re
import time

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from server import Server

REQUESTS = 3_200
# Seconds after which no more requests are begun; that fewer were made is then a failure.
SECONDS_MAX = 300
SEED = int(os.environ.get("MILLRACE_TEST_SEED", "20261125"))
ROLE = "arn:aws:iam::000000000000:role/function"
PREFIX = "arn:aws:lambda:us-east-1:000000000000:function:"
# Types that the protocol has besides the errors that an operation's model lists.
PROTOCOL = {"ValidationException": 400, "SerializationException": 400, "UnknownOperationException": 404}
# Members that the model requires and the service leaves out, where there is none.
ABSENT = {"GetFunctionCodeSigningConfigResponse": {"CodeSigningConfigArn"}}
# Operations that change what others need are drawn less often.
RARE = {"DeleteFunction": 0.15}

NAMES = ["f", "g", "h", PREFIX + "f", "f:1", "f:live", "g:$LATEST", PREFIX + "f", PREFIX + "g:2", "000000000000:function:f",
         "missing", "a b", "x" * 65, "x" * 300, PREFIX.replace("us-east-1", "eu-west-1") + "f", "f.g", "ü"]
WORDS = {
    "FunctionName": NAMES, "NamespacedFunctionName": NAMES, "Resource": [PREFIX + "f", PREFIX + "f:1", "f", PREFIX + "no"],
    "TaggableResource": [PREFIX + "f", PREFIX + "g", PREFIX + "f:1", "f", PREFIX + "missing"],
    "Alias": ["live", "next", "7", "a b"], "RoleArn": [ROLE] * 4 + ["role"],
    "Handler": ["transform"] * 3 + ["handler", "app.handler", "a b"],
    "Runtime": ["provided.al2023"] * 6 + ["python3.12", "java21", "cobol"],
    "VersionWithLatestPublished": ["1", "1", "2", "$LATEST", "99", "01", "x"], "AdditionalVersion": ["1", "2", "9", "x"],
    "NumericLatestPublishedOrAliasQualifier": ["1", "2", "$LATEST", "live", "99", "no such"],
    "DestinationArn": ["", "arn:aws:s3:::bucket", PREFIX + "g", "nowhere"],
    "S3Bucket": ["bucket", "b"], "S3Key": ["key", ""], "MasterRegion": ["ALL"],
}


class Generator:
    """Makes parameters for a shape. A tame one has few members, and values that most often are good."""

    def __init__(self, seed: int, module: bytes) -> None:
        self.random, self.module, self.tame = random.Random(seed), module, False

    def chance(self, part: float) -> bool:
        return self.random.random() < part

    def value(self, shape, depth: int = 0):
        if not self.tame and self.chance(0.02):
            return self.random.choice([None, 0, -1, "", "x", [], {}, True, 1.5, 10 ** 18])
        return getattr(self, f"_{shape.type_name}", self._string)(shape, depth)

    def _structure(self, shape, depth):
        wanted = {}
        for name, member in shape.members.items():
            part = 0.97 if name in shape.required_members else max(0.25 - 0.05 * depth, 0.05)
            if self.tame:
                # Many members of the large structures are refused.
                part = 1 if part == 0.97 else 0.4 if depth else 0.1 if len(shape.members) < 20 else 0.02
            if member.name in ("Code", "FunctionCode"):
                wanted[name] = {"ZipFile": self._blob(member, depth)} if self.chance(0.8) else self.value(member, depth + 1)
            elif name in ("Runtime", "Handler") and self.chance(0.8) or self.chance(part):
                wanted[name] = self.value(member, depth + 1)
        return wanted

    def _map(self, shape, depth):
        pairs = [(self._string(shape.key, depth), self.value(shape.value, depth + 1))
                 for _ in range(self.random.choice([0, 1, 1, 2]))]
        return dict(pairs)

    def _list(self, shape, depth):
        return [self.value(shape.member, depth + 1) for _ in range(self.random.choice([0, 1, 1, 3]))]

    def _integer(self, shape, depth):
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 1000)
        inside = [low, low, min(high, low + 3), min(high, 900)]
        return self.random.choice(inside if self.tame else inside + [low - 1, high + 1])

    _long = _integer

    def _double(self, shape, depth):
        return self.random.choice([0.0, 0.1, 0.5, 1.0] if self.tame else [1.5, -0.1, 0.5])

    _float = _double

    def _boolean(self, shape, depth):
        return self.chance(0.3)

    def _timestamp(self, shape, depth):
        return 0

    def _blob(self, shape, depth):
        if self.chance(0.6 if self.tame else 0.05):
            return self.module
        return self.random.choice([b"", b"{}", b"[]", b"{", b"\0asm\1\0\0\0", b"PK\5\6" + bytes(18), bytes(50)])

    def _string(self, shape, depth):
        known = WORDS.get(shape.name)
        if known and (self.tame or self.chance(0.95)):
            return self.random.choice(known[:4] if self.tame else known)
        if shape.enum and self.chance(0.9):
            return self.random.choice(shape.enum)
        low = shape.metadata.get("min", 0)
        if self.tame:
            return "Ab" * max(low, 1)
        return self.random.choice(["", "x" * max(low, 1), "a" * min(low, 300), "ABC", "/mnt/a", "é ", "0" * 12, "%2F?#"])


def check(shape, value, path: str) -> None:
    """Whether `value` is exactly of the shape: no member that the model lacks, types, ranges, enumerations, patterns."""
    kind = shape.type_name
    if kind == "structure":
        assert isinstance(value, dict), f"{path}: {value!r}"
        named = {member.serialization.get("name", name): member for name, member in shape.members.items()
                 if "location" not in member.serialization}
        assert set(value) <= set(named), f"{path}: {set(value) - set(named)} is not in {shape.name}"
        required = set(shape.required_members) - ABSENT.get(shape.name, set())
        assert required <= set(value), f"{path}: {shape.required_members}"
        for name, inner in value.items():
            check(named[name], inner, f"{path}.{name}")
    elif kind == "list":
        assert isinstance(value, list), f"{path}: {value!r}"
        for at, inner in enumerate(value):
            check(shape.member, inner, f"{path}[{at}]")
    elif kind == "map":
        assert isinstance(value, dict), f"{path}: {value!r}"
        for name, inner in value.items():
            check(shape.key, name, f"{path} key")
            check(shape.value, inner, f"{path}[{name}]")
    elif kind == "boolean":
        assert isinstance(value, bool), f"{path}: {value!r}"
    elif kind in ("integer", "long", "double", "float", "timestamp"):
        wanted = (int,) if kind in ("integer", "long") else (int, float)
        assert isinstance(value, wanted) and not isinstance(value, bool), f"{path}: {value!r}"
        assert shape.metadata.get("min", value) <= value <= shape.metadata.get("max", value), f"{path}: {value!r}"
    else:
        assert isinstance(value, str), f"{path}: {value!r}"
        assert not shape.enum or value in shape.enum, f"{path}: {value!r}"
        length = len(value)
        assert shape.metadata.get("min", 0) <= length <= shape.metadata.get("max", length), f"{path}: {value!r}"
        pattern = shape.metadata.get("pattern")
        if pattern and r"\p" not in pattern:
            assert re.fullmatch(pattern, value), f"{path}: {value!r} is not {pattern}"


def heal(client, module: bytes) -> None:
    """Makes again what random requests have deleted: two functions, each with a version and an alias."""
    for name in ("f", "g"):
        steps = [(client.create_function, dict(Runtime="provided.al2023", Handler="transform", Role=ROLE,
                                               Code={"ZipFile": module}, Publish=True)),
                 (client.create_alias, dict(Name="live", FunctionVersion="1")),
                 (client.delete_function_concurrency, {})]
        for call, request in steps:
            try:
                call(FunctionName=name, **request)
            except ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                assert status in (404, 409), error.response


@pytest.fixture(scope="module")
def own():
    """A server whose functions nobody else uses."""
    running = Server(name="random")
    yield running
    assert running.stop() == 0


def test_random_requests_have_whole_answers(own, guest):
    client = own.functions(config=Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=60))
    module = guest("identity")
    model, generator = client.meta.service_model, Generator(SEED, module)
    operations = sorted(set(client.meta.method_to_api_mapping.values()))
    # Operations that are here are drawn as often as all others together.
    here = [name for name in operations if re.search("Function$|FunctionCon|FunctionCode$|Alias|Version|Invoke$|Tag|Event"
                                                     "InvokeConfig|^ListFunctions$|AccountSettings|FunctionConcurrency", name)]
    raw, seen, good = {}, {}, {}

    def keep(http_response, model, **_):
        raw.update(status=http_response.status_code, headers=http_response.headers,
                   body=None if model.has_event_stream_output or model.has_streaming_output else http_response.content)

    client.meta.events.register("after-call.lambda", keep)
    deadline = time.monotonic() + SECONDS_MAX
    sent = 0
    while sent < REQUESTS:
        assert time.monotonic() < deadline, f"{sent} requests in {SECONDS_MAX} s (seed {SEED})"
        operation = generator.random.choice(here if generator.chance(0.7) else operations)
        if not generator.chance(RARE.get(operation, 1)):
            continue
        shape = model.operation_model(operation)
        generator.tame = generator.chance(0.6)
        parameters = generator.value(shape.input_shape) if shape.input_shape else {}
        if operation == "CreateFunction" and generator.tame:
            parameters["FunctionName"] = f"n{sent}"
        labels = [name for name, member in getattr(shape.input_shape, "members", {}).items()
                  if member.serialization.get("location") == "uri"]
        if not isinstance(parameters, dict) or not all(parameters.get(name) for name in labels):
            # An empty label makes another path, which is another operation's.
            continue
        if sent % 100 == 0:
            heal(client, module)
        what = f"seed {SEED}, request {sent}: {operation} {parameters!r:.600}"
        raw.clear()
        try:
            client._make_api_call(operation, parameters)
        except ClientError as error:
            response = error.response
            code, status = response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]
            modelled = {each.metadata.get("error", {}).get("code", each.name): each.metadata["error"]["httpStatusCode"]
                        for each in shape.error_shapes} | PROTOCOL
            assert status < 500, f"{what}: {response}"
            assert modelled.get(code) == status, f"{what}: {response}"
            assert response["Error"]["Message"], f"{what}: {response}"
            seen[code] = seen.get(code, 0) + 1
        except (BotoCoreError, AttributeError, TypeError, ValueError, KeyError) as error:
            # What the client cannot write down is not sent.
            assert not raw, f"{what}: an answer that does not parse: {error!r}"
            continue
        else:
            status = raw["status"]
            assert status < 300, f"{what}: {status}"
            if raw["body"] is not None and shape.output_shape is not None and status != 204:
                check(shape.output_shape, json.loads(raw["body"]), f"{what}: answer")
            good[operation] = good.get(operation, 0) + 1
        sent += 1
    print(f"\n{sent} requests; refusals {seen}; good answers {good}")
    missing = {"CreateFunction", "GetFunction", "ListFunctions", "CreateAlias", "Invoke", "PublishVersion", "ListTags",
               "UpdateFunctionConfiguration", "GetAccountSettings", "ListVersionsByFunction"} - set(good)
    assert not missing, f"no good answer of {missing}: the generator has become blind (seed {SEED})"
    assert {"ValidationException", "ResourceNotFoundException", "InvalidParameterValueException"} <= set(seen)


@pytest.mark.parametrize("planted", [
    {"Extra": 1}, {"CodeSize": "1"}, {"State": "Ready"}, {"Timeout": 0}, {"Architectures": "x86_64"},
    {"Environment": {"Variables": {"A": 1}}}, {"FunctionName": "a b"}, {"EphemeralStorage": {}}, {"Version": True},
])
def test_planted_answers_are_seen(functions, planted):
    """The check of shapes is not blind: each of these is no `FunctionConfiguration`."""
    shape = functions.meta.service_model.operation_model("GetFunctionConfiguration").output_shape
    check(shape, {"FunctionName": "f", "Timeout": 3, "EphemeralStorage": {"Size": 512}}, "good")
    with pytest.raises(AssertionError):
        check(shape, planted, "planted")
