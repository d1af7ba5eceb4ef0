"""The Lambda API with boto3: a function's whole life, and the exact errors on its way."""

import base64
import hashlib
import io
import json
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError


ROLE = "arn:aws:iam::000000000000:role/function"
PREFIX = "arn:aws:lambda:us-east-1:000000000000:function:"
# Seconds between two looks of a waiter, and looks at most: a compilation takes about one second.
WAITER = {"Delay": 1, "MaxAttempts": 60}


def zipped(module: bytes, name: str = "function.wasm") -> bytes:
    """A deployment package."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(name, module)
    return file.getvalue()


def sha256(package: bytes) -> str:
    """As `CodeSha256` has it."""
    return base64.b64encode(hashlib.sha256(package).digest()).decode()


def event(*records: bytes) -> bytes:
    """What Firehose sends to a Lambda."""
    return json.dumps({"invocationId": "i", "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/s",
                       "region": "us-east-1", "records": [
                           {"recordId": str(at), "approximateArrivalTimestamp": 1_500_000_000_000,
                            "data": base64.b64encode(each).decode()} for at, each in enumerate(records)]}).encode()


def refused(call, **request) -> tuple[str, int, str]:
    """Type, status and message of a refusal."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


@pytest.fixture
def create(functions, guest, name):
    """Creates the test's function of an example and waits until it is active; its name."""

    def make(wanted: str = "identity", **more) -> str:
        functions.create_function(FunctionName=name, Runtime="provided.al2023", Handler="transform", Role=ROLE,
                                  Code={"ZipFile": guest(wanted)}, **more)
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAITER)
        return name

    return make


def updated(functions, name) -> dict:
    """Waits until the last update is in; the configuration."""
    functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig=WAITER)
    return functions.get_function_configuration(FunctionName=name)


def test_a_function_lives_its_life(functions, guest, name):
    package = zipped(guest("identity"))
    made = functions.create_function(
        FunctionName=name, Runtime="provided.al2023", Handler="transform", Role=ROLE, Code={"ZipFile": package},
        Description="as it is", Timeout=5, MemorySize=256, Environment={"Variables": {"LEVEL": "info"}},
        Tags={"team": "a"})
    assert made["FunctionArn"] == PREFIX + name and made["Version"] == "$LATEST"
    assert made["State"] in ("Pending", "Active") and made["ResponseMetadata"]["HTTPStatusCode"] == 201
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAITER)
    whole = functions.get_function(FunctionName=PREFIX + name)
    shown = whole["Configuration"]
    assert (shown["State"], shown["LastUpdateStatus"]) == ("Active", "Successful")
    assert (shown["CodeSha256"], shown["CodeSize"]) == (sha256(package), len(package))
    assert (shown["MemorySize"], shown["Timeout"], shown["Environment"]) == (256, 5, {"Variables": {"LEVEL": "info"}})
    assert whole["Tags"] == {"team": "a"}
    with urllib.request.urlopen(whole["Code"]["Location"], timeout=30) as reply:
        assert reply.read(4) == b"\0asm", "the link gives the module, without credentials"

    invoked = functions.invoke(FunctionName=name, Payload=event(b"one", b"two"), LogType="Tail")
    answer = json.loads(invoked["Payload"].read())
    assert [base64.b64decode(each["data"]) for each in answer["records"]] == [b"one", b"two"]
    assert [each["result"] for each in answer["records"]] == ["Ok", "Ok"]
    assert (invoked["StatusCode"], invoked["ExecutedVersion"]) == (200, "$LATEST") and "FunctionError" not in invoked
    log = base64.b64decode(invoked["LogResult"]).decode()
    assert "START RequestId: " in log and "REPORT RequestId: " in log

    one = functions.publish_version(FunctionName=name, Description="first")
    assert (one["Version"], one["Description"], one["FunctionArn"]) == ("1", "first", f"{PREFIX}{name}:1")
    changed = functions.update_function_code(FunctionName=name, ZipFile=guest("partition"))
    assert changed["LastUpdateStatus"] in ("InProgress", "Successful")
    assert updated(functions, name)["CodeSha256"] == sha256(guest("partition"))
    two = functions.publish_version(FunctionName=name, CodeSha256=sha256(guest("partition")))
    assert two["Version"] == "2"
    assert functions.publish_version(FunctionName=name)["Version"] == "2", "nothing has changed since"
    listed = functions.get_paginator("list_versions_by_function").paginate(
        FunctionName=name, PaginationConfig={"PageSize": 1})
    assert [each["Version"] for page in listed for each in page["Versions"]] == ["$LATEST", "1", "2"]

    alias = functions.create_alias(FunctionName=name, Name="live", FunctionVersion="1",
                                   RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    assert alias["AliasArn"] == f"{PREFIX}{name}:live"
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    seen = {functions.invoke(FunctionName=f"{name}:live", Payload=event(b"{}"))["ExecutedVersion"] for _ in range(60)}
    assert seen == {"1", "2"}, "both versions are drawn; the chance of one alone is 2 to the minus 59"
    moved = functions.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RoutingConfig={})
    assert moved["FunctionVersion"] == "2" and "RoutingConfig" not in moved
    back = functions.update_alias(FunctionName=name, Name="live", FunctionVersion="1",
                                  RevisionId=moved["RevisionId"])
    assert back["FunctionVersion"] == "1", "rolled back"
    invoked = functions.invoke(FunctionName=name, Qualifier="live", Payload=event(b"x"))
    assert invoked["ExecutedVersion"] == "1"
    assert [each["Name"] for each in functions.list_aliases(FunctionName=name)["Aliases"]] == ["live"]

    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    assert functions.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 0
    code, status, message = refused(functions.invoke, FunctionName=name, Payload=b"{}")
    assert (code, status, message) == ("TooManyRequestsException", 429, "Rate Exceeded.")
    functions.delete_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in functions.get_function_concurrency(FunctionName=name)

    code, status, message = refused(functions.delete_function, FunctionName=name, Qualifier="1")
    assert (code, status) == ("ResourceConflictException", 409) and "live" in message
    functions.delete_alias(FunctionName=name, Name="live")
    functions.delete_function(FunctionName=name, Qualifier="1")
    functions.delete_function(FunctionName=name)
    assert refused(functions.get_function, FunctionName=name) == (
        "ResourceNotFoundException", 404, f"Function not found: {PREFIX}{name}")


def test_configuration_is_changed_member_by_member(functions, create):
    name = create(Environment={"Variables": {"LEVEL": "info"}})
    before = functions.get_function_configuration(FunctionName=name)
    functions.update_function_configuration(FunctionName=name, Timeout=9, RevisionId=before["RevisionId"],
                                            LoggingConfig={"LogGroup": "mine"})
    after = updated(functions, name)
    assert (after["Timeout"], after["Environment"]) == (9, before["Environment"])
    assert after["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "mine"}
    assert after["RevisionId"] != before["RevisionId"]
    code, status, message = refused(functions.update_function_configuration, FunctionName=name, Timeout=8,
                                    RevisionId=before["RevisionId"])
    assert (code, status) == ("PreconditionFailedException", 412)
    assert message.startswith("The Revision Id provided does not match the latest Revision Id.")


def test_events_are_kept_by_their_configuration(functions, create):
    name = create()
    put = functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1,
                                                     MaximumEventAgeInSeconds=60)
    assert put["FunctionArn"] == f"{PREFIX}{name}:$LATEST" and put["MaximumRetryAttempts"] == 1
    more = functions.update_function_event_invoke_config(FunctionName=name, MaximumEventAgeInSeconds=120)
    assert (more["MaximumRetryAttempts"], more["MaximumEventAgeInSeconds"]) == (1, 120)
    assert functions.get_function_event_invoke_config(FunctionName=name)["MaximumEventAgeInSeconds"] == 120
    assert len(functions.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]) == 1
    taken = functions.invoke(FunctionName=name, InvocationType="Event", Payload=event(b"x"))
    assert (taken["StatusCode"], taken["Payload"].read()) == (202, b"")
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204
    functions.delete_function_event_invoke_config(FunctionName=name)
    code, status, _ = refused(functions.get_function_event_invoke_config, FunctionName=name)
    assert (code, status) == ("ResourceNotFoundException", 404)


def test_tags_and_the_account(functions, create):
    name = create()
    functions.tag_resource(Resource=PREFIX + name, Tags={"a": "1", "b c": "ü"})
    functions.untag_resource(Resource=PREFIX + name, TagKeys=["a", "never"])
    assert functions.list_tags(Resource=PREFIX + name)["Tags"] == {"b c": "ü"}
    account = functions.get_account_settings()
    assert account["AccountUsage"]["FunctionCount"] >= 1 and account["AccountLimit"]["ConcurrentExecutions"] > 0
    names = [each["FunctionName"] for page in functions.get_paginator("list_functions").paginate(
        PaginationConfig={"PageSize": 1}) for each in page["Functions"]]
    assert name in names and names == sorted(set(names))


def test_code_comes_from_a_bucket(server, functions, guest, name):
    folder = server.data_dir / "objects" / name
    folder.mkdir(parents=True)
    (folder / "code.zip").write_bytes(zipped(guest("identity")))
    request = dict(FunctionName=name, Runtime="provided.al2023", Handler="transform", Role=ROLE)
    code, status, _ = refused(functions.create_function, **request, Code={"S3Bucket": name, "S3Key": "none.zip"})
    assert (code, status) == ("InvalidParameterValueException", 400)
    made = functions.create_function(**request, Code={"S3Bucket": name, "S3Key": "code.zip"})
    assert made["CodeSha256"] == sha256((folder / "code.zip").read_bytes())


def test_a_module_that_is_none_leaves_the_live_version_untouched(functions, create):
    name = create()
    before = functions.get_function_configuration(FunctionName=name)
    code, status, message = refused(functions.update_function_code, FunctionName=name, ZipFile=b"\0asm" + bytes(40))
    assert (code, status) == ("InvalidParameterValueException", 400) and message.startswith(f"function {name}: ")
    after = functions.get_function_configuration(FunctionName=name)
    assert after | {"ResponseMetadata": 0} == before | {"ResponseMetadata": 0}
    invoked = functions.invoke(FunctionName=name, Payload=event(b"still"))
    assert base64.b64decode(json.loads(invoked["Payload"].read())["records"][0]["data"]) == b"still"


def test_refusals_say_what_to_do(functions, guest, name):
    good = dict(FunctionName=name, Runtime="provided.al2023", Handler="transform", Role=ROLE,
                Code={"ZipFile": guest("identity")})
    for change, wanted in [
        ({"Runtime": "python3.12", "Handler": "app.handler"}, "millrace new NAME -t python --kind handler"),
        ({"Runtime": "nodejs22.x", "Handler": "index.handler"}, "millrace new NAME -t javascript --kind handler"),
        ({"MemorySize": 2048}, "MemorySize 2048 is not supported by Millrace"),
        ({"Timeout": 901}, "Timeout 901 is not supported by Millrace"),
        ({"Layers": ["arn:aws:lambda:us-east-1:000000000000:layer:l:1"]}, "Layers "),
        ({"Architectures": ["arm64"]}, "Architectures "),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "VpcConfig.SubnetIds "),
        ({"Code": {"ZipFile": zipped(b"text")}}, "is no WebAssembly module"),
        ({"Code": {"ZipFile": zipped(guest("identity"), "../climb.wasm")}}, "leads out of the package"),
        ({"Code": {"ZipFile": b"text"}}, "neither a zip nor a WebAssembly module"),
        ({"Code": {"ImageUri": "x"}}, "Code.ImageUri is not supported"),
        ({"Environment": {"Variables": {"KEY": "x" * 4096}}}, "exceeded the 4KB limit"),
    ]:
        code, status, message = refused(functions.create_function, **{**good, **change})
        assert (code, status) == ("InvalidParameterValueException", 400) and wanted in message, message
    for call, request in [
        (functions.add_permission, dict(FunctionName="f", StatementId="s", Action="a", Principal="p")),
        (functions.get_policy, dict(FunctionName="f")),
        (functions.create_event_source_mapping, dict(FunctionName="f")),
        (functions.create_function_url_config, dict(FunctionName="f", AuthType="NONE")),
        (functions.list_layers, {}),
        (functions.get_function_recursion_config, dict(FunctionName="f")),
        (functions.get_runtime_management_config, dict(FunctionName="f")),
    ]:
        code, status, message = refused(call, **request)
        assert (code, status) == ("InvalidParameterValueException", 400), message
        assert message.startswith("This version of Millrace does not have "), message


def test_names_are_found_in_all_their_forms(functions, create):
    name = create()
    functions.publish_version(FunctionName=name)
    for form in (name, f"function:{name}", f"000000000000:function:{name}", PREFIX + name):
        assert functions.get_function_configuration(FunctionName=form)["FunctionName"] == name
        shown = functions.get_function_configuration(FunctionName=f"{form}:1")
        assert (shown["Version"], shown["FunctionArn"]) == ("1", f"{PREFIX}{name}:1")
        assert functions.get_function_configuration(FunctionName=form, Qualifier="$LATEST")["FunctionArn"] == (
            f"{PREFIX}{name}:$LATEST")
    code, status, message = refused(functions.get_function, FunctionName=f"{name}:1", Qualifier="2")
    assert (code, status, message) == (
        "InvalidParameterValueException", 400,
        "The derived qualifier from the function name does not match the specified qualifier.")
    code, status, message = refused(functions.get_function, FunctionName=PREFIX.replace("us-east-1", "us-west-2") + name)
    assert (code, status) == ("ResourceNotFoundException", 404)
    code, status, message = refused(functions.get_function, FunctionName="a b")
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith("1 validation error detected: Value 'a b' at 'functionName' failed to satisfy "
                              "constraint: Member must satisfy regular expression pattern: (arn:")
