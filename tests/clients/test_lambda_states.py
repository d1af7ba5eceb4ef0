"""The Lambda API with boto3: what a function's state says while code is compiled and when it is no good, and that
nothing a client sets is dropped or changed unseen."""

import base64
import json
import threading

import pytest

from modules import failing, slow
from test_lambda import PREFIX, ROLE, WAITER, event, refused, updated

BUSY = ("The operation cannot be performed at this time. An update is in progress for resource: "
        "arn:aws:lambda:us-east-1:000000000000:function:")
NOT_YET = "The operation cannot be performed at this time. The function is currently in the following state: "


def request(name: str, module: bytes, **more) -> dict:
    """What creates a function."""
    return {"FunctionName": name, "Runtime": "provided.al2023", "Handler": "transform", "Role": ROLE,
            "Code": {"ZipFile": module}, **more}


@pytest.fixture
def create(functions, guest, name):
    """Creates the test's function of an example and waits until it is active; its name."""

    def make(wanted: str = "identity", **more) -> str:
        functions.create_function(**request(name, guest(wanted), **more))
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAITER)
        return name

    return make


def states(functions, name: str, **qualifier) -> tuple[str, str]:
    """`State` and `LastUpdateStatus`."""
    shown = functions.get_function_configuration(FunctionName=name, **qualifier)
    return shown["State"], shown["LastUpdateStatus"]


def echo(functions, name: str) -> bytes:
    """What the function makes of a record."""
    invoked = functions.invoke(FunctionName=name, Payload=event(b"still"))
    return base64.b64decode(json.loads(invoked["Payload"].read())["records"][0]["data"])


def test_the_first_build_is_pending_and_in_progress(functions, guest, name):
    made = functions.create_function(**request(name, slow(guest("identity")), Publish=True))
    assert (made["State"], made["LastUpdateStatus"]) == ("Pending", "InProgress")
    assert states(functions, name) == states(functions, name, Qualifier="1") == ("Pending", "InProgress")
    assert refused(functions.invoke, FunctionName=name, Payload=event(b"x")) == (
        "ResourceConflictException", 409, NOT_YET + "Pending")
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAITER)
    assert states(functions, name) == states(functions, name, Qualifier="1") == ("Active", "Successful")
    assert echo(functions, name) == b"still"


def test_an_update_during_an_update_is_a_conflict(functions, guest, create):
    name = create()
    module = slow(guest("identity"))
    changed = functions.update_function_code(FunctionName=name, ZipFile=module)
    assert (changed["State"], changed["LastUpdateStatus"]) == ("Active", "InProgress")
    for call, more in [(functions.update_function_code, {"ZipFile": guest("identity")}),
                       (functions.update_function_configuration, {"Timeout": 9}),
                       (functions.publish_version, {})]:
        assert refused(call, FunctionName=name, **more) == ("ResourceConflictException", 409, BUSY + name)
    assert echo(functions, name) == b"still", "the code before runs"
    assert updated(functions, name)["CodeSize"] == len(module)
    assert states(functions, name) == ("Active", "Successful")


def test_a_function_that_never_was_good_is_failed_until_it_is(functions, guest, name):
    functions.create_function(**request(name, failing(guest("identity")), Publish=True))
    with pytest.raises(Exception, match="terminal failure"):
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAITER)
    shown = functions.get_function_configuration(FunctionName=name)
    assert (shown["State"], shown["LastUpdateStatus"]) == ("Failed", "Failed")
    assert shown["StateReason"] == shown["LastUpdateStatusReason"] != ""
    assert states(functions, name, Qualifier="1") == ("Failed", "Failed")
    code, status, message = refused(functions.invoke, FunctionName=name, Payload=event(b"x"))
    assert (code, status) == ("ResourceConflictException", 409) and message.startswith(NOT_YET + "Failed: ")

    dry = functions.update_function_code(FunctionName=name, ZipFile=guest("identity"), DryRun=True)
    assert (dry["State"], dry["LastUpdateStatus"]) == ("Failed", "Failed"), "nothing runs yet"
    changed = functions.update_function_code(FunctionName=name, ZipFile=slow(guest("identity")))
    assert (changed["State"], changed["LastUpdateStatus"]) == ("Failed", "InProgress")
    assert updated(functions, name)["State"] == "Active"
    assert echo(functions, name) == b"still"
    functions.update_function_code(FunctionName=name, ZipFile=failing(guest("identity")))
    with pytest.raises(Exception, match="terminal failure"):
        updated(functions, name)
    assert states(functions, name) == ("Active", "Failed"), "what was good still runs"
    assert echo(functions, name) == b"still"


def test_a_module_of_the_other_world_is_refused(functions, guest, create):
    name = create(Description="batches")
    before = functions.get_function_configuration(FunctionName=name)
    for call, more in [(functions.update_function_code, {"ZipFile": guest("greet")}),
                       (functions.update_function_code, {"ZipFile": guest("greet"), "DryRun": True}),
                       (functions.update_function_configuration, {"Handler": "handler"})]:
        code, status, message = refused(call, FunctionName=name, **more)
        assert (code, status) == ("InvalidParameterValueException", 400)
        assert "a function keeps its world, so create one with Handler " in message, message
    assert functions.get_function_configuration(FunctionName=name) | {"ResponseMetadata": 0} == before | {
        "ResponseMetadata": 0}
    functions.delete_function(FunctionName=name)
    functions.create_function(**request(name, guest("greet"), Handler="handler"))
    functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig=WAITER)
    assert "FunctionError" not in functions.invoke(FunctionName=name, Payload=b'{"name":"x"}'), "the next step works"


def test_names_that_the_service_sets_are_refused(functions, server, guest, create, name):
    create()
    variables = {"Variables": {"LEVEL": "info", "AWS_REGION": "eu-west-1", "AWS_LAMBDA_FUNCTION_NAME": "other"}}
    for call, more in [(functions.update_function_configuration, {"FunctionName": name, "Environment": variables}),
                       (functions.create_function, request(f"{name}-2", guest("identity"), Environment=variables))]:
        code, status, message = refused(call, **more)
        assert (code, status) == ("InvalidParameterValueException", 400)
        assert message.endswith("Reserved keys used in this request: AWS_LAMBDA_FUNCTION_NAME, AWS_REGION")
    answer = server.own("PUT", f"/v1/functions/{name}?setting.AWS_REGION=x", guest("identity"))
    assert answer.status == 400 and b"reserved keys" in answer.body


def test_a_deploy_keeps_what_it_cannot_name(functions, server, guest, create):
    name = create(Description="echoes", LoggingConfig={"LogGroup": "mine"}, Environment={"Variables": {"KEY": "x"}})
    assert server.deploy(name, guest("identity"))["version"] == 1
    shown = functions.get_function_configuration(FunctionName=name)
    assert (shown["Role"], shown["Description"], shown["LoggingConfig"]["LogGroup"]) == (ROLE, "echoes", "mine")
    assert "Environment" not in shown, "settings are what the deploy says"


def test_an_alias_points_at_a_version_and_nothing_is_signed(functions, create):
    name = create()
    code, status, message = refused(functions.create_alias, FunctionName=name, Name="live", FunctionVersion="$LATEST")
    assert (code, status) == ("InvalidParameterValueException", 400) and "PublishVersion first" in message
    signing = functions.get_function_code_signing_config(FunctionName=PREFIX + name)
    assert signing["FunctionName"] == name and "CodeSigningConfigArn" not in signing
    assert refused(functions.get_function_code_signing_config, FunctionName="none")[:2] == (
        "ResourceNotFoundException", 404)


def test_one_reserved_place_is_one_call(functions, create):
    """Two calls at once of a function that spins until its deadline: one is refused."""
    name = create("spin", Timeout=5)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    together, outcomes = threading.Barrier(2), []

    def call() -> None:
        together.wait()
        try:
            outcomes.append(functions.invoke(FunctionName=name, Payload=event(b"x"))["FunctionError"])
        except functions.exceptions.TooManyRequestsException as error:
            outcomes.append((error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Reason"]))

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [(429, "ReservedFunctionConcurrentInvocationLimitExceeded"), "Unhandled"]
