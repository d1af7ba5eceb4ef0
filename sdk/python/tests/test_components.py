"""Components of the projects in this folder and of the examples: built ones and the interpreter of `millrace
watch` do the same. Wants the variable MILLRACE, the path of a `millrace` binary, and componentize-py beside
this Python. The template of a handler is built and run by the step `templates` of `tests/run`."""

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
    "lambda": (ROOT.parents[1] / "guest-examples/lambda-python", "handler", "lambda_function.py"),
    "sandbox": (ROOT / "tests/sandbox", "handler", "app.py"),
}


# What no file of tests wants to hold: events of more levels of JSON than can be read.
DEEP = """
[[test]]
name = "an event of {levels} levels"
[test.event]
data = '{{"do": {nested}'
[test.answer]
error = "Runtime.UnmarshalError"
"""


def run(component, files, *more):
    """What test files say of a component: name, verdict, and differences, without times and fuel."""
    tests = [part for path in files for part in ("--tests", str(path))]
    done = subprocess.run([MILLRACE, "test", str(component), *tests, "--json", *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [(test["name"], test["status"], test["differences"]) for test in json.loads(done.stdout)["tests"]]


@pytest.fixture(scope="module")
def interpreters(tmp_path_factory):
    """An interpreter of each kind: it runs any project of the kind that imports no packages."""
    folder = tmp_path_factory.mktemp("interpreters")
    made = {kind: folder / f"{kind}.wasm" for kind in ("transform", "handler")}
    for name in ("transform", "sandbox"):
        project, kind, source = PROJECTS[name]
        command = [str(project), "--kind", kind, "--source", source, "--output", str(made[kind]), "--dev"]
        assert build.main(command) == 0
        written = made[kind].stat().st_mtime_ns
        assert build.main(command) == 0
        assert made[kind].stat().st_mtime_ns == written, "it was made again for nothing"
    return made


@pytest.mark.parametrize("name", PROJECTS)
def test_a_built_one_and_the_interpreter_do_the_same(name, tmp_path, interpreters):
    project, kind, source = PROJECTS[name]
    made, bundle = tmp_path / "made.wasm", tmp_path / "source.json"
    common = [str(project), "--kind", kind, "--source", source]
    assert build.main([*common, "--output", str(made)]) == 0
    assert build.main([*common, "--output", str(bundle), "--bundle"]) == 0
    files = sorted((project / "tests").glob("*.toml"))
    if name == "sandbox":
        deep = tmp_path / "deep.toml"
        settings = '[settings]\nNAME = "x"\n'
        deep.write_text(settings + "".join(DEEP.format(levels=levels, nested="[" * levels) for levels in (501, 100_000)))
        files.append(deep)
    built = run(made, files)
    interpreted = run(interpreters[kind], files, "--set", f"MILLRACE_SOURCE={bundle.read_text()}")
    assert built == interpreted != []


def test_syntax_that_only_the_component_knows_is_told_in_one_line(tmp_path, capsys):
    (tmp_path / "app.py").write_text("from millrace import transform\nx = [\n")
    assert build.main([str(tmp_path), "--kind", "transform", "--output", str(tmp_path / "x.wasm")]) == 1
    assert capsys.readouterr().err == "app.py:2: '[' was never closed\n"
    assert not (tmp_path / "x.wasm").exists()
