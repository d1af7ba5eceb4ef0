"""Fixtures of the client tests: servers that are shared, names that are not, and the trace of a failure."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import exchanges  # noqa: E402
from server import Server, destination  # noqa: E402


@pytest.fixture(scope="session")
def server():
    """A server with access keys, delivering to local folders."""
    running = Server(name="keys")
    yield running
    code = running.stop()
    assert code == 0, f"SIGTERM ends a server with 0, not {code}: {running.log}"


@pytest.fixture(scope="session")
def firehose(server):
    """boto3 on it."""
    return server.firehose()


@pytest.fixture(scope="session")
def functions(server):
    """boto3's Lambda client on it."""
    return server.functions()


@pytest.fixture
def name():
    """A name nobody else uses: of a stream and its bucket."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def create(server, firehose, name):
    """Creates the test's stream with a destination of `more` members; its name."""

    def make(**more) -> str:
        firehose.create_delivery_stream(DeliveryStreamName=name,
                                        ExtendedS3DestinationConfiguration=destination(name, **more))
        return name

    return make


@pytest.fixture(scope="session")
def guest():
    """Reads an example function by name; the test is skipped where it was not built."""

    def read(wanted: str) -> bytes:
        folder = Path(os.environ["MILLRACE_TEST_GUESTS"])
        for candidate in (wanted, wanted.replace("-", "_")):
            if (folder / f"{candidate}.wasm").is_file():
                return (folder / f"{candidate}.wasm").read_bytes()
        pytest.skip(f"the example function {wanted} is not built: run `tests/run --only guests`")

    return read


@pytest.fixture(scope="session")
def deployed(server, guest):
    """Deploys an example function under its own name, once; the name."""
    done = set()

    def make(wanted: str) -> str:
        if wanted not in done:
            server.deploy(wanted, guest(wanted))
            done.add(wanted)
        return wanted

    return make


def s3_servers() -> list[dict]:
    """The real S3 servers of this run."""
    return json.loads(os.environ.get("MILLRACE_TEST_S3_SERVERS", "[]"))


@pytest.fixture(scope="session", params=["minio", "seaweedfs"])
def s3(request):
    """Settings of a real S3 server, one after the other."""
    for found in s3_servers():
        if found["MILLRACE_TEST_S3_NAME"] == request.param:
            return found
    pytest.skip(f"{request.param} is not running: see the step `setup` of tests/run")


@pytest.fixture(autouse=True)
def _fresh_trace():
    exchanges.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the last exchanges to a failure."""
    report = yield
    if report.failed and exchanges.shown():
        report.sections.append(("last requests and answers", exchanges.shown()))
    return report
