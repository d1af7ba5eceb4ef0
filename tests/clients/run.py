#!/usr/bin/env python3
"""Runs the client tests: `python tests/clients/run.py [pytest's arguments]`, in the environment that `tests/run`
makes. The environment says what there is: MILLRACE_TEST_BINARY, _GUESTS, _S3_SERVERS (JSON), _NODE_MODULES,
_GO_CLIENT, _JAVA_CLASSES; a test whose part is missing is skipped with the reason."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
TREE = HERE.parents[1]


def defaults() -> None:
    """What `tests/run` sets, for a run by hand after it."""
    release = TREE / "target" / "release" / "millrace"
    os.environ.setdefault("MILLRACE_TEST_BINARY", str(release))
    os.environ.setdefault("MILLRACE_TEST_LOGS", str(TREE / "target" / "test-logs"))
    os.environ.setdefault(
        "MILLRACE_TEST_GUESTS", str(TREE / "guest-examples/target/wasm32-unknown-unknown/release"))


def main(arguments: list[str]) -> int:
    """Runs pytest over this folder, or over the test files among the arguments."""
    sys.dont_write_bytecode = True
    defaults()
    named = any(Path(part.split("::")[0]).exists() for part in arguments if not part.startswith("-"))
    places = [] if named else [str(HERE)]
    return pytest.main(["-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE), *arguments, *places])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
