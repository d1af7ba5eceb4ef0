"""Components of the templates and the example: built ones and the interpreter of `millrace watch` do the
same. Wants the variable MILLRACE, the path of a `millrace` binary, and componentize-py beside this Python."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import build

MILLRACE = os.environ.get("MILLRACE")
pytestmark = [
    pytest.mark.skipif(not MILLRACE, reason="MILLRACE names no binary"),
    pytest.mark.skipif(not pathlib.Path(sys.executable).with_name("componentize-py").exists(), reason="no componentize-py"),
]
PROJECTS = {
    "transform": (ROOT / "templates/transform", "transform", "app.py"),
    "handler": (ROOT / "templates/handler", "handler", "app.py"),
    "lambda": (ROOT.parents[1] / "guest-examples/lambda-python", "handler", "lambda_function.py"),
    "sandbox": (ROOT / "tests/sandbox", "handler", "app.py"),
}


def run(component, project, *more):
    """What the test files of a project say of a component: name, verdict, and what it became."""
    files = [part for path in sorted((project / "tests").glob("*.toml")) for part in ("--tests", str(path))]
    command = [MILLRACE, "test", str(component), *files, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def verdicts(report):
    """A report without times and fuel."""
    return [(test["name"], test["status"], test["differences"]) for test in report["tests"]]


@pytest.mark.parametrize("name", PROJECTS)
def test_a_built_one_and_the_interpreter_do_the_same(name, tmp_path):
    project, kind, source = PROJECTS[name]
    made, interpreter, bundle = tmp_path / "made.wasm", tmp_path / "dev.wasm", tmp_path / "source.json"
    common = [str(project), "--kind", kind, "--source", source]
    assert build.main([*common, "--output", str(made)]) == 0
    assert build.main([*common, "--output", str(interpreter), "--dev"]) == 0
    assert build.main([*common, "--output", str(bundle), "--bundle"]) == 0
    built = run(made, project)
    interpreted = run(interpreter, project, "--set", f"MILLRACE_SOURCE={bundle.read_text()}")
    assert verdicts(built) == verdicts(interpreted) != []
    written = interpreter.stat().st_mtime_ns
    assert build.main([*common, "--output", str(interpreter), "--dev"]) == 0
    assert interpreter.stat().st_mtime_ns == written, "it was made again for nothing"


def test_syntax_that_only_the_component_knows_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "app.py").write_text("from millrace import transform\nx = [\n")
    assert build.main([str(tmp_path), "--kind", "transform", "--output", str(tmp_path / "x.wasm")]) == 1
    assert capsys.readouterr().err == "app.py:2: '[' was never closed\n"
    assert not (tmp_path / "x.wasm").exists()
