"""Requests to hosts that the grant `http` names."""

import json

from componentize_py_types import Err
from wit_world.imports import http as _http


class HttpError(Exception):
    """Why there is no answer: no grant for the host, no connection, no time left."""


class Response:
    """An answer. status: the code. headers: a dict, names in lower case, several values joined by
    `, `. body: bytes."""

    def __init__(self, status, headers, body):
        self.status = status
        self.body = body
        self.headers = {}
        for name, value in headers:
            text = value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {text}" if name in self.headers else text

    @property
    def text(self):
        """The body as text."""
        return self.body.decode()

    def json(self):
        """The body's JSON value."""
        return json.loads(self.body)


def send(url, method="GET", headers=None, body=b"", timeout_ms=None):
    """Sends a request and waits for the answer. Redirects are answers. Raises HttpError."""
    pairs = [(name, value.encode("latin-1")) for name, value in (headers or {}).items()]
    content = body.encode() if isinstance(body, str) else bytes(body)
    try:
        answer = _http.send(_http.Request(method, url, pairs, content, timeout_ms))
    except Err as error:
        raise HttpError(error.value) from None
    return Response(answer.status, answer.headers, answer.body)
