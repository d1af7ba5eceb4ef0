"""AWS Lambda's side of a handler: the context, events and answers as JSON, errors as Lambda words them."""

import decimal
import json
import math

from . import _host

# The account of a function's ARN: a call does not say it.
ACCOUNT = "000000000000"
# Names of a handler, in the order in which they are looked for.
HANDLERS = ("lambda_handler", "handler")


class Failure(Exception):
    """An error of the invocation, as Lambda's JSON."""

    def __init__(self, kind, message, stack=()):
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.stack = list(stack)

    def json(self, request_id):
        """The error's JSON."""
        body = {"errorMessage": self.message, "errorType": self.kind, "requestId": request_id, "stackTrace": self.stack}
        return json.dumps(body, ensure_ascii=False)


class Client:
    """`context.client_context`: what an invocation brought."""

    def __init__(self, given):
        self.custom = given.get("custom")
        self.env = given.get("env")
        self.client = given.get("client")


class Identity:
    """`context.identity`: nobody is known."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """The second parameter of a handler."""

    def __init__(self, call, now_ms):
        self.aws_request_id = call.request_id
        self.function_name = call.function_name
        self.function_version = call.function_version
        self.memory_limit_in_mb = str(call.memory_limit_bytes >> 20)
        qualifier = "" if call.function_version == "$LATEST" else ":" + call.function_version
        self.invoked_function_arn = f"arn:aws:lambda:{_host.region()}:{ACCOUNT}:function:{call.function_name}{qualifier}"
        self.log_group_name = "/aws/lambda/" + call.function_name
        self.log_stream_name = f"[{call.function_version}]{call.request_id}"
        self.identity = Identity()
        self.client_context = Client(_client(call.client_context)) if call.client_context else None
        self._deadline_ms = call.deadline_ms
        self._now_ms = now_ms

    def get_remaining_time_in_millis(self):
        """Milliseconds until the call is ended."""
        return max(0, self._deadline_ms - self._now_ms())

    def __repr__(self):
        return f"LambdaContext([aws_request_id={self.aws_request_id}, function_name={self.function_name}])"


def _client(text):
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure("Runtime.LambdaContextUnmarshalError", f"Unable to parse Client Context JSON: {error}") from None
    if not isinstance(given, dict):
        raise Failure("Runtime.LambdaContextUnmarshalError", "Unable to parse Client Context JSON: it is no object")
    return given


def _default(value):
    if isinstance(value, decimal.Decimal):
        return math.nan if value.is_nan() else float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def marshal(answer):
    """The answer's JSON. Raises Failure when it has none."""
    try:
        return json.dumps(answer, ensure_ascii=False, default=_default).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Failure("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def unmarshal(event):
    """The event of its JSON. Raises Failure when it is none."""
    try:
        return json.loads(event)
    except (ValueError, RecursionError) as error:
        raise Failure("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


def raised(error):
    """The failure that an exception of the function is."""
    return Failure(type(error).__name__, str(error), _host.frames(error))


def exited(error):
    """The failure that `sys.exit()` is, while the module is loaded or in a call."""
    return Failure("Runtime.ExitError", f"the function called sys.exit({error.code!r})", _host.frames(error))


def not_loaded(error, module):
    """The failure that an exception while the module was loaded is."""
    if isinstance(error, SystemExit):
        return exited(error)
    if isinstance(error, ImportError):
        return Failure("Runtime.ImportModuleError", f"Unable to import module '{module}': {error}")
    if isinstance(error, SyntaxError):
        place = f'  File "{error.filename}" Line {error.lineno}\n    {(error.text or "").strip()}\n'
        return Failure("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}", [place])
    return raised(error)


def named(module, code):
    """The handler as Lambda names it, `app.lambda_handler`, before the module's code has run."""
    return f"{module}." + next((name for name in HANDLERS if name in code.co_names), HANDLERS[0])


def find(module, name):
    """The module's handler."""
    for known in HANDLERS:
        function = getattr(module, known, None)
        if callable(function):
            return function
    raise Failure("Runtime.HandlerNotFound", f"Handler 'lambda_handler' missing on module '{name}'")


def invoke(handler, event, context):
    """Calls the handler with the event's JSON and answers the answer's."""
    value = unmarshal(event)
    try:
        answer = handler(value, context)
    except SystemExit as error:
        raise exited(error) from None
    except BaseException as error:
        raise raised(error) from error
    return marshal(answer)
