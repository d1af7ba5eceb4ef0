"""The Lambda API by the AWS CLI and the SDKs of other languages, unchanged but for the endpoint: each program
takes a function through its whole life and checks its own answers. boto3 has a file of its own."""

import base64
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from server import KEY_ID, SECRET
from test_sdks import HERE, run

ROLE = "arn:aws:iam::000000000000:role/lambda"


@pytest.fixture
def packages(guest, tmp_path) -> Path:
    """A folder with a handler as a bare module and two transforms in zips."""
    (tmp_path / "greet.wasm").write_bytes(guest("greet"))
    for name in ("mark", "identity"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr(f"{name}.wasm", guest(name))
    return tmp_path


def test_lambda_javascript(server, name, packages):
    modules = os.environ.get("MILLRACE_TEST_NODE_MODULES")
    if not modules:
        pytest.skip("Node.js with npm is not installed")
    run(["node", HERE / "javascript" / "lambda.cjs", server.url, name, packages], NODE_PATH=modules)


def test_lambda_go(server, name, packages):
    client = os.environ.get("MILLRACE_TEST_GO_CLIENT")
    if not client:
        pytest.skip("Go is not installed")
    run([client, "lambda", server.url, name, packages])


class Cli:
    """`aws lambda` on a server, in a folder."""

    def __init__(self, server, folder: Path) -> None:
        self.server, self.folder = server, folder

    def run(self, *words: str) -> subprocess.CompletedProcess:
        """Runs one command; nothing of this machine's own settings is read."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        settings = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                    "AWS_EC2_METADATA_DISABLED": "true"}
        argv = [sys.executable, "-m", "awscli", "--endpoint-url", self.server.url, "--output", "json", "lambda", *words]
        return subprocess.run(argv, cwd=self.folder, env={**clean, **settings}, capture_output=True, text=True,
                              timeout=120, check=False)

    def __call__(self, *words: str):
        """What a command answers."""
        ran = self.run(*words)
        assert ran.returncode == 0, f"{words}:\n{ran.stdout}\n{ran.stderr}"
        return json.loads(ran.stdout) if ran.stdout.strip() else None

    def fails(self, error: str, *words: str) -> str:
        """The text of the error that a command ends with."""
        ran = self.run(*words)
        assert ran.returncode == 254 or ran.returncode == 255, (words, ran)
        assert f"An error occurred ({error})" in ran.stderr, ran.stderr
        return ran.stderr

    def invoke(self, name: str, event, *words: str):
        """What `invoke` answers, and what it wrote."""
        answer = self("invoke", "--function-name", name, "--payload", json.dumps(event), *words, "out.json")
        return answer, json.loads((self.folder / "out.json").read_text() or "null")


@pytest.fixture
def cli(server, packages):
    return Cli(server, packages)


def test_lambda_cli_life(server, cli, name):
    # `--zip-file` takes nothing but a zip: the bare module comes as an object of a bucket.
    bucket = server.data_dir / "objects" / name
    bucket.mkdir(parents=True)
    (bucket / "greet.wasm").write_bytes((cli.folder / "greet.wasm").read_bytes())
    arn, one = f"arn:aws:lambda:us-east-1:000000000000:function:{name}", ("--function-name", name)
    create = ("create-function", *one, "--runtime", "provided.al2023", "--handler", "handler", "--role", ROLE,
              "--code", f"S3Bucket={name},S3Key=greet.wasm", "--environment", "Variables={GREETING=Hello}",
              "--tags", "team=clients")
    assert cli(*create)["FunctionArn"] == arn
    cli("wait", "function-active-v2", *one)
    assert f"Function already exist: {name}" in cli.fails("ResourceConflictException", *create)

    answer, said = cli.invoke(name, {"name": "Ada"}, "--log-type", "Tail")
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "greets Ada\n" in base64.b64decode(answer["LogResult"]).decode()
    assert said == {"message": "Hello, Ada!", "version": "$LATEST"}
    answer, said = cli.invoke(name, {})
    assert (answer["FunctionError"], said["errorMessage"]) == ("Unhandled", "nobody to greet")
    assert cli.invoke(name, {}, "--invocation-type", "DryRun")[0] == {"StatusCode": 204}
    assert cli.invoke(name, {"name": "later"}, "--invocation-type", "Event")[0] == {"StatusCode": 202}

    assert cli("publish-version", *one)["Version"] == "1"
    cli("update-function-configuration", *one, "--environment", "Variables={GREETING=Servus}")
    cli("wait", "function-updated-v2", *one)
    assert cli("publish-version", *one)["Version"] == "2"
    half = {"AdditionalVersionWeights": {"2": 0.5}}
    alias = cli("create-alias", *one, "--name", "live", "--function-version", "1", "--routing-config", json.dumps(half))
    assert (alias["AliasArn"], alias["RoutingConfig"]) == (f"{arn}:live", half)
    greeted = {"1": "Hello, Ada!", "2": "Servus, Ada!"}
    for version in ("2", "1"):
        cli("update-alias", *one, "--name", "live", "--function-version", version,
            "--routing-config", "AdditionalVersionWeights={}")
        assert cli.invoke(f"{name}:live", {"name": "Ada"})[1]["message"] == greeted[version]
    assert [each["Version"] for each in cli("list-versions-by-function", *one)["Versions"]] == ["$LATEST", "1", "2"]
    cli("delete-alias", *one, "--name", "live")
    cli("delete-function", *one)
    assert f"Function not found: {arn}" in cli.fails("ResourceNotFoundException", "get-function", *one)


def test_lambda_cli_package(cli, name):
    arn, one = f"arn:aws:lambda:us-east-1:000000000000:function:{name}", ("--function-name", name)
    made = cli("create-function", *one, "--runtime", "provided.al2023", "--handler", "transform", "--role", ROLE,
               "--zip-file", "fileb://mark.zip", "--environment", "Variables={MARK=here}")
    cli("wait", "function-active-v2", *one)
    event = {"invocationId": "i", "deliveryStreamArn": "arn:aws:firehose:us-east-1:000000000000:deliverystream/s",
             "region": "us-east-1", "records": [{"recordId": "7", "approximateArrivalTimestamp": 1,
                                                 "data": base64.b64encode(b'{"a":1}').decode()}]}
    for package, wanted in ((None, b'{"a":1,"mark":"here"}'), ("identity.zip", b'{"a":1}')):
        if package:
            updated = cli("update-function-code", *one, "--zip-file", f"fileb://{package}")
            assert updated["CodeSha256"] != made["CodeSha256"]
            cli("wait", "function-updated-v2", *one)
        [record] = cli.invoke(name, event)[1]["records"]
        assert (record["recordId"], record["result"], base64.b64decode(record["data"])) == ("7", "Ok", wanted)

    cli("put-function-concurrency", *one, "--reserved-concurrent-executions", "0")
    assert cli("get-function-concurrency", *one) == {"ReservedConcurrentExecutions": 0}
    assert "Rate Exceeded." in cli.fails("TooManyRequestsException", "invoke", *one, "out.json")
    cli("delete-function-concurrency", *one)
    assert cli.invoke(name, event)[0]["StatusCode"] == 200
    cli("tag-resource", "--resource", arn, "--tags", "a=1,b=2")
    cli("untag-resource", "--resource", arn, "--tag-keys", "a")
    assert cli("list-tags", "--resource", arn) == {"Tags": {"b": "2"}}
    cli("delete-function", *one)
