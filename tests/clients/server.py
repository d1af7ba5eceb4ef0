"""Owns the server under test: starts `millrace serve` on a free port with a data folder of its own, speaks to it
raw, by boto3 and by its own routes, and stops it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

import sigv4
import exchanges

KEY_ID, SECRET, TOKEN = "AKIDTESTCLIENTS", secrets.token_hex(20), secrets.token_hex(16)
# What intervals of streams are multiplied with: 60 s become 1.2 s.
INTERVAL_SCALE = 0.02
# How long the server may take until it is ready, and until it is drained, seconds.
READY_SECONDS_MAX = 30
DRAINED_SECONDS_MAX = 40
TARGET = "Firehose_20150804."
ROLE = "arn:aws:iam::000000000000:role/firehose"


class Answer:
    """What came back: `status`, `headers`, `body`."""

    def __init__(self, status: int, headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> tuple[str, str]:
        """Type and message of an AWS error body."""
        body = self.json()
        return body.get("__type", ""), body.get("message", body.get("Message", ""))


class Server:
    """A running server."""

    def __init__(self, *flags: str, env: dict[str, str] | None = None, name: str = "millrace",
                 data_dir: Path | None = None, keys: bool = True) -> None:
        self.data_dir = data_dir or Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.log = Path(os.environ["MILLRACE_TEST_LOGS"]) / f"server-{self.data_dir.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        settings = {"MILLRACE_DELIVERY_INTERVAL_SCALE": str(INTERVAL_SCALE)}
        if keys:
            settings |= {"MILLRACE_ACCESS_KEY_ID": KEY_ID, "MILLRACE_SECRET_ACCESS_KEY": SECRET,
                         "MILLRACE_TOKEN": TOKEN}
        argv = [os.environ["MILLRACE_TEST_BINARY"], "serve", "--data-dir", str(self.data_dir),
                "--listen", "127.0.0.1:0", *flags]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MILLRACE_"))}
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(argv, env={**clean, **settings, **(env or {})}, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True, cwd=self.data_dir)
        self.url = self._ready()

    def _ready(self) -> str:
        stdout = self.process.stdout
        watchdog = threading.Timer(READY_SECONDS_MAX, self.process.kill)
        watchdog.start()
        try:
            for line in stdout:
                if line.startswith("millrace: listening on "):
                    return line.split()[-1]
        finally:
            watchdog.cancel()
        raise AssertionError(f"the server ended with {self.process.wait()} before it was ready:\n"
                             + self.log.read_text(errors="replace")[-3000:])

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """Ends the server; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    # --- speaking to it -------------------------------------------------------------------------------------

    def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> Answer:
        """One request as it stands."""
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                answer = Answer(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as reply:
            answer = Answer(reply.code, reply.headers, reply.read())
        exchanges.record(method, self.url + path, headers, body, answer.status, answer.headers, answer.body)
        return answer

    def signed(self, body: bytes, operation: str | None = None, *, path: str = "/", method: str = "POST",
               headers: dict[str, str] | None = None, secret: str = SECRET, key_id: str = KEY_ID, **wrong) -> Answer:
        """A signed request; `wrong` goes to the signer."""
        headers = dict(headers or {})
        if operation is not None:
            headers |= {"X-Amz-Target": TARGET + operation, "Content-Type": "application/x-amz-json-1.1"}
        signed = sigv4.signed_headers(method, self.url + path, headers, body, key_id=key_id, secret=secret, **wrong)
        return self.send(method, path, signed, body)

    def call(self, operation: str, request) -> Answer:
        """An operation with any JSON, past the checks of an SDK."""
        return self.signed(json.dumps(request).encode(), operation)

    def own(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One of Millrace's own routes, with the bearer token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(method, path, {"Authorization": f"Bearer {TOKEN}", **named}, body)

    def firehose(self, **options):
        """A boto3 client of Firehose whose exchanges are traced."""
        return self.client("firehose", **options)

    def functions(self, **options):
        """A boto3 client of Lambda whose exchanges are traced."""
        return self.client("lambda", **options)

    def client(self, service: str, **options):
        """A boto3 client whose exchanges are traced."""
        settings = {"region_name": "us-east-1", "aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET,
                    "endpoint_url": self.url, "config": Config(retries={"total_max_attempts": 1}), **options}
        client = boto3.client(service, **settings)
        sent = {}

        def before(request, **_):
            sent.update(method=request.method, url=request.url, headers=dict(request.headers), body=request.body)

        def after(http_response, model, **_):
            # A streaming body is the test's own to read.
            body = b"(streamed)" if model.has_streaming_output else http_response.content
            exchanges.record(sent.get("method"), sent.get("url"), sent.get("headers"), sent.get("body"),
                             http_response.status_code, http_response.headers, body)

        client.meta.events.register(f"before-send.{service}", before)
        client.meta.events.register(f"after-call.{service}", after)
        return client

    # --- streams and objects --------------------------------------------------------------------------------

    def deploy(self, name: str, wasm: bytes, **settings: str) -> dict:
        """Deploys a function; what the server says of the version."""
        headers = {f"x-millrace-setting-{key}": value for key, value in settings.items()}
        answer = self.own("PUT", f"/v1/functions/{name}", wasm, Content_Type="application/wasm", **headers)
        assert answer.status in (200, 201), answer.body
        return answer.json()

    def status(self, stream: str) -> dict:
        """The stream's status report."""
        answer = self.own("GET", f"/v1/status/{stream}")
        assert answer.status == 200, answer.body
        return answer.json()["streams"][0]

    def drained(self, stream: str, accepted: int) -> dict:
        """Waits until `accepted` records of the stream are decided; its last status."""
        deadline = time.monotonic() + DRAINED_SECONDS_MAX
        while True:
            report = self.status(stream)
            if report["accepted"] >= accepted and report["pending"] == 0:
                assert report["balance"] == 0, report
                return report
            assert time.monotonic() < deadline, f"not drained: {report}"
            time.sleep(0.05)

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Key and bytes of every object of a local bucket."""
        folder = self.data_dir / "objects" / bucket
        return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
                if path.is_file()}


def destination(bucket: str, **more) -> dict:
    """The least `ExtendedS3DestinationConfiguration` with quick buffering, and `more`."""
    return {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 10}, **more}


def lambda_processor(name: str, **parameters: str) -> dict:
    """A `Lambda` processor that names a deployed function."""
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{name}"
    return {"Type": "Lambda", "Parameters": [
        {"ParameterName": key, "ParameterValue": value} for key, value in {"LambdaArn": arn, **parameters}.items()]}


def processing(*processors: dict) -> dict:
    """An enabled `ProcessingConfiguration`."""
    return {"Enabled": True, "Processors": list(processors)}
