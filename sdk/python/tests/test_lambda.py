"""The Lambda shim, natively."""

import datetime
import decimal
import json
import pathlib
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from millrace import _json, _lambda, _streams

CALL = types.SimpleNamespace(
    request_id="r-1",
    function_name="f",
    function_version="$LATEST",
    memory_limit_bytes=128 << 20,
    deadline_ms=5_000,
    client_context='{"custom": {"a": 1}}',
)


def context(**other):
    return _lambda.Context(types.SimpleNamespace(**{**vars(CALL), **other}), lambda: 1_500)


def test_a_context_is_lambdas():
    made = context()
    assert (made.aws_request_id, made.function_name, made.function_version) == ("r-1", "f", "$LATEST")
    assert made.memory_limit_in_mb == "128"
    assert context(function_version="3").invoked_function_arn.endswith(":function:f:3")
    assert made.get_remaining_time_in_millis() == 3_500
    assert context(deadline_ms=1).get_remaining_time_in_millis() == 0
    assert made.client_context.custom == {"a": 1}
    assert context(client_context=None).client_context is None


def test_the_region_is_a_setting(monkeypatch):
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert context().invoked_function_arn == "arn:aws:lambda:us-east-1:000000000000:function:f"
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert context().invoked_function_arn == "arn:aws:lambda:eu-west-1:000000000000:function:f"
    assert _streams.RESERVED["AWS_DEFAULT_REGION"]() == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert _streams.RESERVED["AWS_DEFAULT_REGION"]() == "eu-west-2"


def test_a_handler_has_its_name_before_its_module_runs():
    code = lambda text: compile(text, "app.py", "exec")
    assert _lambda.named("app", code("def handler(a, b): pass")) == "app.handler"
    assert _lambda.named("app", code("from x import y as lambda_handler")) == "app.lambda_handler"
    assert _lambda.named("app", code("from x import *")) == "app.lambda_handler"


def test_answers_are_json_as_lambda_writes_it():
    answer = lambda value: _lambda.invoke(lambda event, _: value, b"{}", None)
    assert answer({"é": (1, decimal.Decimal("1.5"))}) == '{"é": [1, 1.5]}'.encode()
    assert answer(None) == b"null"
    for value in (datetime.datetime(2020, 1, 1), {1, 2}, b"x"):
        with pytest.raises(_lambda.Failure) as failed:
            answer({"v": value})
        name = type(value).__name__
        assert failed.value.kind == "Runtime.MarshalError"
        assert failed.value.message == f"Unable to marshal response: Object of type {name} is not JSON serializable"
    cyclic = []
    cyclic.append(cyclic)
    with pytest.raises(_lambda.Failure, match="Unable to marshal response"):
        answer(cyclic)


def test_an_exception_is_lambdas_error():
    def handler(event, context):
        raise ValueError("é")

    with pytest.raises(_lambda.Failure) as failed:
        _lambda.invoke(handler, b"{}", None)
    body = json.loads(failed.value.json("r-1"))
    assert (body["errorType"], body["errorMessage"], body["requestId"]) == ("ValueError", "é", "r-1")
    assert "in handler\n    raise ValueError" in body["stackTrace"][-1]


def test_what_is_no_event_or_no_handler_is_named():
    kinds = []
    for call in (
        lambda: _lambda.invoke(lambda *_: None, b"{", None),
        lambda: _lambda.invoke(lambda *_: None, b"[" * 200_000, None),
        lambda: context(client_context="{"),
        lambda: context(client_context="[" * 200_000),
        lambda: context(client_context="[]"),
        lambda: _lambda.find(types.SimpleNamespace(), "app"),
        lambda: _lambda.invoke(lambda *_: sys.exit(3), b"{}", None),
    ):
        with pytest.raises(_lambda.Failure) as failed:
            call()
        kinds.append(failed.value.kind)
    of_context = ["Runtime.LambdaContextUnmarshalError"] * 3
    assert kinds == ["Runtime.UnmarshalError"] * 2 + of_context + ["Runtime.HandlerNotFound", "Runtime.ExitError"]
    assert _lambda.not_loaded(ImportError("No module named 'x'"), "app").message == "Unable to import module 'app': No module named 'x'"
    assert _lambda.find(types.SimpleNamespace(handler=len), "app") is len


def test_levels_of_json_are_counted_outside_of_texts():
    # Short texts and those with few brackets are not looked at.
    flat = "[]," * (_json.LEVELS_MAX + 1)
    for text, levels in [
        ("1", 1),
        ('[{"a": [1]}, [[2]]]', 3),
        ('["]]]]", "[[[[", "\\"]]]", "[\\\\", [1]]', 2),
        ('{"é[": "\ud800[", "": [[["\\\\\\"[["]]]}', 4),
        ("]][", 1),
    ]:
        assert _json.levels(flat + text) == levels, text
    _json.check("[[]," * (_json.LEVELS_MAX - 1))
    _json.check("[" + "[]," * 5_000 + "[]]")
    with pytest.raises(RecursionError, match="deeper than 500 levels"):
        _json.check("[" * 501 + "]" * 501)


def test_what_is_raised_past_exception_is_an_error():
    def handler(event, context):
        raise KeyboardInterrupt("stop")

    with pytest.raises(_lambda.Failure) as failed:
        _lambda.invoke(handler, b"{}", None)
    assert (failed.value.kind, failed.value.message) == ("KeyboardInterrupt", "stop")
    left = _lambda.not_loaded(SystemExit(3), "app")
    assert (left.kind, left.message) == ("Runtime.ExitError", "the function called sys.exit(3)")
