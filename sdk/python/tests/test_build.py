"""The build script up to the tool that it calls."""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import build
from millrace import _project


def run(project, capsys, *more):
    code = build.main([str(project), "--kind", "transform", "--output", str(project / "build" / "x"), *more])
    return code, capsys.readouterr().err


def test_errors_of_the_user_are_one_line(tmp_path, capsys):
    assert run(tmp_path, capsys) == (1, f"app.py: there is no such file in {tmp_path}; `source` in millrace.toml names the function's file\n")
    (tmp_path / "app.py").write_bytes(b"\xff")
    assert run(tmp_path, capsys)[1].startswith("app.py: not UTF-8")


def test_an_import_without_its_grant_is_refused(tmp_path, capsys):
    for line in ("import millrace.http", "from millrace import http"):
        (tmp_path / "app.py").write_text(f"def f():\n    {line}\n")
        assert run(tmp_path, capsys, "--bundle") == (1, "app.py: millrace.http needs the grant http in millrace.toml\n")
        assert run(tmp_path, capsys, "--bundle", "--grant", "http") == (0, "")


def test_syntax_is_told_with_its_place(tmp_path, capsys):
    (tmp_path / "app.py").write_text("x = 1\ndef f(:\n")
    # An older Python leaves syntax to the component's, which `test_components.py` hears.
    told = (1, "app.py:2: invalid syntax\n") if sys.version_info >= (3, 14) else (0, "")
    assert run(tmp_path, capsys, "--bundle") == told


def test_a_bundle_has_the_project_and_nothing_else(tmp_path, capsys):
    for name in ("app.py", "lib/part.py", "tests/test_app.py", ".millrace/sdk/x.py", "venv/lib/y.py", "build/z.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import json\n")
    own = tmp_path / "own-environment"
    own.mkdir()
    (own / "pyvenv.cfg").write_text("")
    (own / "w.py").write_text("")
    assert run(tmp_path, capsys, "--bundle") == (0, "")
    bundle = json.loads((tmp_path / "build" / "x").read_text())
    assert (bundle["main"], sorted(bundle["files"])) == ("app.py", ["app.py", "lib/part.py"])
    assert _project.from_setting(json.dumps(bundle), "other.py") == ("app.py", bundle["files"])
    assert _project.from_setting("x = {}\n", "app.py") == ("app.py", {"app.py": "x = {}\n"})


def test_a_world_has_its_grants(tmp_path):
    build.world(tmp_path / "wit", ROOT.parent.parent / "wit" / "transform", "handler", ["key_value", "http", "http"])
    text = (tmp_path / "wit" / "app.wit").read_text()
    assert "include millrace:transform/handler@0.1.0;" in text
    assert text.count("transform/http@") == 1 and "import millrace:transform/key-value@0.1.0;" in text


def test_imports_are_found_everywhere_but_in_the_project():
    files = {"app.py": "import lib.part, csv\ndef f():\n    try:\n        from xml import dom\n    except ImportError:\n        pass\n", "lib/part.py": "from . import x\n"}
    assert _project.imports(files, files) == ["csv", "xml", "xml.dom"]


def test_modules_of_the_project_are_its_source():
    finder = _project.Finder({"app.py": "", "pack/__init__.py": "", "bare/part.py": "x = 5\n"})
    assert finder.find_spec("pack").submodule_search_locations is not None
    assert finder.find_spec("bare").submodule_search_locations is not None
    assert finder.find_spec("bare.part").origin == "bare/part.py"
    assert finder.find_spec("json") is None
