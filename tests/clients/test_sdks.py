"""SDKs of other languages, unchanged but for the endpoint: each program checks its own answers, and what it put
is read back here. The Rust SDK's test is part of `cargo test -p millrace-tests`."""

import os
import subprocess
from pathlib import Path

import pytest

from decoders import FORMATS
from server import KEY_ID, SECRET

HERE = Path(__file__).resolve().parent
PUT = b"one\n" + b"two\n" + "ü\0\n".encode()


def run(argv, **env) -> None:
    """Runs a client program."""
    ran = subprocess.run([str(part) for part in argv], capture_output=True, text=True, timeout=120, check=False,
                         env={**os.environ, "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, **env})
    assert ran.returncode == 0, f"{argv}:\n{ran.stdout}\n{ran.stderr}"


def delivered(server, name, format) -> bytes:
    """What the stream delivered."""
    assert server.drained(name, 3)["delivered"] == 3
    decode = FORMATS[format][0]
    return b"".join(decode(body) for _, body in sorted(server.objects(name).items()))


def test_javascript(server, name):
    modules = os.environ.get("MILLRACE_TEST_NODE_MODULES")
    if not modules:
        pytest.skip("Node.js with npm is not installed")
    run(["node", HERE / "javascript" / "firehose.cjs", server.url, name, name], NODE_PATH=modules)
    assert sorted(delivered(server, name, "GZIP").splitlines()) == sorted(PUT.splitlines())


def test_go(server, name):
    client = os.environ.get("MILLRACE_TEST_GO_CLIENT")
    if not client:
        pytest.skip("Go is not installed")
    run([client, "firehose", server.url, name, name])
    assert sorted(delivered(server, name, "ZIP").splitlines()) == sorted(PUT.splitlines())
