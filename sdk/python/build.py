"""Makes a component of a project: `build.py PROJECT --kind transform --output build/NAME.wasm`.

Run it by the Python of a virtual environment that has `requirements.txt` of this folder, and the
project's own. It prints one line for an error of the user's, `app.py:3: invalid syntax`, and ends
with 1; `--verbose` shows what the tools said.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

from millrace._project import imports

HERE = pathlib.Path(__file__).resolve().parent
GRANTS = {"http": "http", "key_value": "key-value"}
# Folders of a project that hold no source of its function.
NOT_SOURCE = {"build", "tests", "target", "node_modules", "venv", "__pycache__"}
# Source that a project may have, bytes: the rest is somebody's data.
SOURCE_BYTES_MAX = 4 << 20
# What the guest writes before an error of the user's.
MARK = "MILLRACE-ERROR: "


class UserError(Exception):
    """One line for the user."""


def arguments(given):
    parser = argparse.ArgumentParser(description="Makes a component of a Python project.")
    parser.add_argument("project", type=pathlib.Path)
    parser.add_argument("--kind", choices=("transform", "handler"), required=True)
    parser.add_argument("--source", default="app.py", help="the project's file that has the function")
    parser.add_argument("--grant", choices=sorted(GRANTS), action="append", default=[])
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--wit", type=pathlib.Path, help="folder of world.wit")
    parser.add_argument("--dev", action="store_true", help="an interpreter that runs the setting MILLRACE_SOURCE")
    parser.add_argument("--bundle", action="store_true", help="write MILLRACE_SOURCE for a --dev component; builds nothing")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args(given)


def sources(project, main):
    """The project's Python files by path, relative and with slashes."""
    found, total = {}, 0
    for folder, folders, files in os.walk(project):
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCE and not name.startswith("."))
        if pathlib.Path(folder, "pyvenv.cfg").exists():
            folders[:] = []
            continue
        for name in sorted(files):
            if name.endswith(".py"):
                path = pathlib.Path(folder, name)
                relative = path.relative_to(project).as_posix()
                try:
                    found[relative] = path.read_text(encoding="utf-8")
                except UnicodeDecodeError as error:
                    raise UserError(f"{relative}: not UTF-8 ({error.reason} at byte {error.start})") from None
                total += len(found[relative])
    if main not in found:
        raise UserError(f"{main}: there is no such file in {project}; `source` in millrace.toml names the function's file")
    if total > SOURCE_BYTES_MAX:
        raise UserError(f"{project}: {total} bytes of Python source; {SOURCE_BYTES_MAX} may be built")
    return found


def check(files, grants):
    """Finds errors of syntax and missing grants before the slow part; answers what the files import. A
    newer syntax than this Python's is left to the component's Python to judge."""
    imported = set()
    for name, text in files.items():
        try:
            found = imports({name: text}, files)
        except SyntaxError as error:
            if sys.version_info >= (3, 14):
                raise UserError(f"{name}:{error.lineno or 1}: {error.msg}") from None
            continue
        except ValueError as error:
            raise UserError(f"{name}: {error}") from None
        for grant in GRANTS:
            if f"millrace.{grant}" in found and grant not in grants:
                raise UserError(f"{name}: millrace.{grant} needs the grant {grant} in millrace.toml")
        imported.update(found)
    return imported


def world(folder, wit, kind, grants):
    """Writes the world of this project: its kind and what it was granted."""
    package = folder / "deps" / "millrace-transform"
    package.mkdir(parents=True)
    shutil.copy(wit / "world.wit", package / "world.wit")
    granted = "".join(f" import millrace:transform/{GRANTS[grant]}@0.1.0;" for grant in sorted(set(grants)))
    text = f"package local:app;\nworld app {{ include millrace:transform/{kind}@0.1.0;{granted} }}\n"
    (folder / "app.wit").write_text(text)


def wit_folder(given):
    for folder in [given] if given else [HERE / "wit", HERE.parent.parent / "wit" / "transform"]:
        if (folder / "world.wit").is_file():
            return folder
    raise UserError("world.wit: not found; --wit names its folder")


def componentize(work, site, output, verbose):
    """Runs componentize-py over the entry; the user's errors come out as one line."""
    tool = pathlib.Path(sys.executable).parent / "componentize-py"
    if not tool.exists():
        raise UserError(f"componentize-py is not installed: {sys.executable} -m pip install -r {HERE / 'requirements.txt'}")
    # By this interpreter: the script's first line names the one that it was installed for, maybe elsewhere.
    command = [sys.executable, tool, "-d", work / "wit", "-w", "app", "componentize", "entry", "--stub-wasi", "-o", output]
    for path in (work / "path", HERE, site):
        command += ["-p", path]
    # A folder of its own: componentize-py must not find the user's modules by the working directory.
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if verbose:
        sys.stderr.write(said)
    if done.returncode != 0:
        marked = re.search(re.escape(MARK) + "(.*)", said)
        errors = re.findall(r"^(?:\w+\.)*\w*Error: .*", said, re.MULTILINE) or ["it said nothing"]
        raise UserError(marked[1] if marked else f"componentize-py: {errors[-1]} (--verbose shows all)")


def key_of_dev(options, imported, site, wit):
    """What a --dev component is made of: of the project only its kind, its grants and its packages."""
    packages = {name.split(".")[0] for name in imported} - sys.stdlib_module_names
    parts = [options.kind, options.source, *sorted(set(options.grant)), *sorted(packages), *sorted(os.listdir(site))]
    text = "\n".join(parts).encode()
    for path in [wit / "world.wit", HERE / "entry.py", HERE / "build.py", *sorted((HERE / "millrace").glob("*.py"))]:
        text += path.read_bytes()
    return hashlib.sha256(text).hexdigest()


def build(options):
    files = sources(options.project, options.source)
    imported = check(files, options.grant)
    if options.bundle:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"main": options.source, "files": files}))
        return
    wit, site = wit_folder(options.wit), sysconfig.get_path("purelib")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    key_file = options.output.with_suffix(".key")
    key = key_of_dev(options, imported, site, wit) if options.dev else None
    if options.dev and options.output.exists() and key_file.exists() and key_file.read_text() == key:
        return
    with tempfile.TemporaryDirectory(prefix="millrace-python-") as name:
        work = pathlib.Path(name)
        world(work / "wit", wit, options.kind, options.grant)
        (work / "path").mkdir()
        project = {"kind": options.kind, "main": options.source, "files": files, "grants": options.grant, "dev": options.dev}
        (work / "path" / "millrace_project.py").write_text(f"PROJECT = {project!r}\n")
        made = work / "app.wasm"
        componentize(work, site, made, options.verbose)
        # Whole or not at all: a build that fails leaves the one before.
        beside = options.output.with_suffix(".part")
        shutil.copy(made, beside)
        beside.replace(options.output)
    if options.dev:
        key_file.write_text(key)


def main(given=None):
    try:
        build(arguments(given))
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
