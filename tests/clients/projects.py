#!/usr/bin/env python3
"""Takes each template through a project's life, as a new user does: new, build, test, deploy, then records through a
stream behind it and events through the Lambda API, against what the template's own tests expect.

`python tests/clients/projects.py TABLE LANGUAGE/KIND…`, in the folder where the projects are to be made, in the
environment of the client tests. TABLE, Markdown, gets the seconds of each step."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

import boto3
from botocore.config import Config

from server import KEY_ID, SECRET, TOKEN, Server, destination, lambda_processor, processing

STEPS = ("new", "build", "test", "deploy", "stream", "invoke")
# What one command may take, seconds: installing from a registry and compiling on two cores.
COMMAND_SECONDS_MAX = 300
# What is shown of the last line of a command that failed; all of it is in the log.
LINE_CHARS_MAX = 300
FAILED_PREFIX = "failed/"


class Wrong(Exception):
    """What is not as it should be."""


def say(line: str) -> None:
    """One line into the log, at once."""
    print(line, flush=True)


class Project:
    """A project made of one template."""

    def __init__(self, server: Server, kind: str) -> None:
        self.server = server
        self.language, self.kind = kind.split("/")
        self.name = f"t-{self.language}-{self.kind}"
        self.folder = Path(self.name)
        self.seconds: dict[str, float] = {}

    def millrace(self, *words: str, cwd: Path | None = None) -> str:
        """Runs a command of the product; what it printed."""
        say(f"$ millrace {' '.join(words)}")
        env = {**os.environ, "MILLRACE_ENDPOINT": self.server.url, "MILLRACE_TOKEN": TOKEN}
        ran = subprocess.run([os.environ["MILLRACE_TEST_BINARY"], *words], cwd=cwd, env=env, text=True, check=False,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=COMMAND_SECONDS_MAX)
        say(ran.stdout.rstrip())
        if ran.returncode:
            last = (ran.stdout.strip().splitlines() or ["it said nothing"])[-1]
            raise Wrong(f"`millrace {' '.join(words)}` ended with {ran.returncode}: {last[:LINE_CHARS_MAX]}")
        return ran.stdout

    def live(self) -> None:
        """All steps; each is timed, the first that is wrong ends it."""
        for step in STEPS:
            begun = time.monotonic()
            getattr(self, step)()
            self.seconds[step] = time.monotonic() - begun

    def new(self) -> None:
        """The project's folder."""
        self.millrace("new", self.name, "-t", self.language, "--kind", self.kind)

    def build(self) -> None:
        """To WebAssembly, installing what it needs."""
        self.millrace("build", cwd=self.folder)

    def test(self) -> None:
        """The template's own tests, which must be some."""
        said = self.millrace("test", cwd=self.folder)
        if "0 failed" not in said or "\n0 passed" in said:
            raise Wrong(f"the template has no tests that pass: {said}")

    def deploy(self) -> None:
        """With the settings of the tests, so that what they expect is to come."""
        settings = [f"--set={key}={value}" for key, value in self.tests().get("settings", {}).items()]
        self.millrace("deploy", *settings, cwd=self.folder)

    def tests(self) -> dict:
        """The template's test file."""
        [path] = self.folder.glob("tests/*.toml")
        return tomllib.loads(path.read_text())

    def stream(self) -> None:
        """The records of the tests through a stream: what is kept, what failed, and nothing else."""
        tests = [test for test in self.tests()["test"] if "record" in test]
        records = [payload(record) for test in tests for record in test["record"]]
        expected = [expect for test in tests for expect in test["expect"]]
        if not records:
            # A handler of other events: what it makes of Firehose's is no answer to it, and nothing is lost.
            records, expected = [b"no record of its own"], [{"result": "ProcessingFailed"}]
        firehose = self.server.firehose()
        firehose.create_delivery_stream(DeliveryStreamName=self.name, ExtendedS3DestinationConfiguration=destination(
            self.name, ErrorOutputPrefix=FAILED_PREFIX, ProcessingConfiguration=processing(lambda_processor(self.name))))
        put = firehose.put_record_batch(DeliveryStreamName=self.name, Records=[{"Data": data} for data in records])
        if put["FailedPutCount"]:
            raise Wrong(f"puts failed: {put}")
        status = self.server.drained(self.name, len(records))
        objects = self.server.objects(self.name)
        good = [body for key, body in objects.items() if not key.startswith(FAILED_PREFIX)]
        bad = [json.loads(line) for key, body in objects.items() if key.startswith(FAILED_PREFIX)
               for line in body.splitlines()]
        outputs = [output for expect in expected if expect["result"] == "Ok" for output in expect.get("outputs", [expect])]
        if all("json" in output for output in outputs):
            same("objects", values(b"".join(good)), [output["json"] for output in outputs])
        else:
            same("objects", b"".join(good), b"".join(payload(output) for output in outputs))
        failures = [data for data, expect in zip(records, expected) if expect["result"] == "ProcessingFailed"]
        same("failed records", sorted(base64.b64decode(line["rawData"]) for line in bad), sorted(failures))
        for word, result in {"delivered": "Ok", "dropped": "Dropped", "failed": "ProcessingFailed"}.items():
            same(f"status {word}", status[word], sum(expect["result"] == result for expect in expected))

    def invoke(self) -> None:
        """The events of a handler's tests through the Lambda API."""
        client = boto3.client("lambda", endpoint_url=self.server.url, region_name="us-east-1", aws_access_key_id=KEY_ID,
                              aws_secret_access_key=SECRET, config=Config(retries={"total_max_attempts": 1}))
        tests = [test for test in self.tests()["test"] if "event" in test]
        if self.kind == "handler" and not tests:
            raise Wrong("a handler's template has a test of an event")
        for test in tests:
            answer = client.invoke(FunctionName=self.name, Payload=payload(test["event"]))
            said, wanted = answer["Payload"].read(), test["answer"]
            if "error" in wanted:
                same("FunctionError", answer.get("FunctionError"), "Unhandled")
                if wanted["error"] not in json.loads(said)["errorMessage"]:
                    raise Wrong(f"another error than {wanted['error']!r}: {said!r}")
            else:
                same("an answer", (answer.get("FunctionError"), json.loads(said)), (None, wanted["json"]))


def payload(given: dict) -> bytes:
    """The bytes that a test file gives: text, base64 or JSON."""
    if "data" in given:
        return given["data"].encode()
    if "data_base64" in given:
        return base64.b64decode(given["data_base64"])
    return json.dumps(given["json"]).encode()


def values(joined: bytes) -> list:
    """The JSON values in an object, with or without lines between them."""
    text, found, decoder = joined.decode(), [], json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def same(what: str, seen, wanted) -> None:
    """Raises where they differ; lists of objects are compared in any order."""
    if isinstance(seen, list):
        seen, wanted = (sorted(each, key=repr_of) for each in (seen, wanted))
    if seen != wanted:
        raise Wrong(f"{what}: {seen} instead of {wanted}")


def repr_of(value) -> str:
    """What values are put in order by."""
    return value.hex() if isinstance(value, bytes) else json.dumps(value, sort_keys=True)


def table(projects: list[Project]) -> str:
    """The seconds, Markdown."""
    rows = ["| template | " + " | ".join(STEPS) + " | all |", "|---|" + "---:|" * (len(STEPS) + 1)]
    for project in projects:
        cells = [f"{project.seconds[step]:.1f}" if step in project.seconds else "-" for step in STEPS]
        rows.append(f"| {project.language} {project.kind} | {' | '.join(cells)} | {sum(project.seconds.values()):.1f} |")
    return "\n".join(rows) + "\n"


def main(out: str, *kinds: str) -> int:
    """Runs them all; 0 when none was wrong."""
    server = Server(name="templates")
    projects, wrong = [Project(server, kind) for kind in kinds], []
    try:
        for project in projects:
            say(f"\n== {project.language} {project.kind}")
            try:
                project.live()
            except (Wrong, AssertionError, subprocess.TimeoutExpired) as failure:
                wrong.append(f"{project.language} {project.kind}: {failure}")
                say(wrong[-1])
    finally:
        ended = server.stop()
        Path(out).write_text(table(projects))
        say("\n" + table(projects))
    if ended:
        wrong.append(f"SIGTERM ends a server with 0, not {ended}: {server.log}")
    for line in wrong:
        say(f"wrong: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
