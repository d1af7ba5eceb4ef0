"""Owns the suites of the Python and JavaScript SDKs: their environments, and the runs natively and as components."""

from __future__ import annotations

import platform
import re
import shutil
import sys
from pathlib import Path

from . import cache
from .report import Failed, Run, Skip

# Seconds that each suite may take; alone on two cores they take about 120 and 15.
PYTHON_SECONDS_MAX = 900
JAVASCRIPT_SECONDS_MAX = 300
# What the closing lines of node's TAP say.
TAP_COUNT = re.compile(r"^# (tests|skipped) (\d+)$", re.MULTILINE)


def python_environment(run: Run) -> Path:
    """The interpreter of an environment with componentize-py, as the SDK pins it, and pytest."""
    sdk = run.tree / "sdk" / "python"
    lists = [sdk / "requirements.txt", sdk / "tests" / "requirements.txt"]

    def build(folder: Path) -> None:
        run.command([sys.executable, "-m", "venv", folder])
        run.command([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", lists[1]])

    version = cache.digest(*(path.read_bytes() for path in lists), platform.python_version(), sys.base_prefix)
    return cache.built("sdk-python", version, build) / "bin" / "python"


def python(run: Run, binary: Path) -> None:
    """The suite of sdk/python."""
    report = run.logs / "sdk-python.xml"
    report.unlink(missing_ok=True)
    try:
        run.command([python_environment(run), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5",
                     f"--junitxml={report}", f"--basetemp={run.temporary / 'sdk-python'}",
                     run.tree / "sdk" / "python" / "tests"],
                    env={"MILLRACE": str(binary)}, seconds=PYTHON_SECONDS_MAX)
    finally:
        run.note(f"{run.cases(report, 'Python SDK test')} tests of the Python SDK")


def node_modules(run: Run) -> Path:
    """`node_modules` of sdk/javascript, exactly as its lock file says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Skip("Node.js with npm is not installed")
    files = [run.tree / "sdk" / "javascript" / name for name in ("package.json", "package-lock.json", ".npmrc")]

    def build(folder: Path) -> None:
        for path in files:
            shutil.copy(path, folder)
        run.command(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)

    return cache.built("sdk-javascript", cache.digest(*(path.read_bytes() for path in files)), build) / "node_modules"


def javascript(run: Run, binary: Path) -> None:
    """The suite of sdk/javascript, in a copy: packages beside the sources would be a change of what the binary embeds,
    and build it anew."""
    packages = node_modules(run)
    copy = run.temporary / "sdk-javascript"
    cache.remove(copy)
    for name in ("sdk/javascript", "wit", "guest-examples/lambda-javascript"):
        shutil.copytree(run.tree / name, copy / name, ignore=shutil.ignore_patterns("node_modules", "build", ".millrace"))
    sdk = copy / "sdk" / "javascript"
    (sdk / "node_modules").symlink_to(packages)
    begun = run.log_path.stat().st_size
    run.command(["node", "--test", "--test-reporter=tap", *sorted((sdk / "tests").glob("*.test.mjs"))], cwd=sdk,
                env={"MILLRACE": str(binary)}, seconds=JAVASCRIPT_SECONDS_MAX)
    counts = dict(TAP_COUNT.findall(run.log_path.read_bytes()[begun:].decode(errors="replace")))
    if not int(counts.get("tests", 0)):
        raise Failed("node ran no test of sdk/javascript")
    if int(counts.get("skipped", 0)):
        run.skip("JavaScript SDK tests", f"{counts['skipped']} skipped")
    run.note(f"{counts['tests']} tests of the JavaScript SDK")


def suites(run: Run, binary: Path) -> None:
    """Both suites; what this machine cannot run is skipped and said."""
    for name, suite in {"SDK of Python": python, "SDK of JavaScript": javascript}.items():
        try:
            suite(run, binary)
        except Skip as skip:
            run.skip(name, str(skip))
