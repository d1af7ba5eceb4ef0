"""Owns the steps `templates` and `watch`: what each language's toolchain is on this machine, the run over every template
that the tree has (`tests/clients/projects.py`), and the time from a save until it is live
(`tests/clients/save_to_live.py`)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable, Mapping

from . import cache, environments, toolchain
from .report import Failed, Run, Skip

TABLE = "templates.md"
WATCH_TABLE = "save-to-live.md"
# Languages whose time from a save until it is live is measured, and over how many saves.
WATCHED = ("rust", "python", "javascript")
SAVES = 20


def rust(run: Run) -> None:
    """cargo with a way to build for WebAssembly."""
    if not toolchain.has_target(run) and not toolchain.debian_ready(run):
        raise Skip(f"there is no {toolchain.WASM_TARGET}: run the step `toolchain`")


def javascript(run: Run) -> None:
    """Node.js; `millrace build` installs what the SDK's lock file pins."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Skip("Node.js with npm is not installed")


def go(run: Run) -> dict[str, str]:
    """Go; the SDK has no dependencies."""
    if shutil.which("go") is None:
        raise Skip("Go is not installed")
    return environments.go_settings(run)


def python(run: Run) -> None:
    """Python with `venv`, which the environment of the tests was made with."""


def c(run: Run) -> dict[str, str]:
    """zig's C compiler, out of the environment of the tests."""
    return environments.zig_settings(run)


# What makes a language's toolchain ready, raising `Skip` with the reason; it may answer settings for the run.
LANGUAGES: dict[str, Callable[[Run], dict[str, str] | None]] = {
    "rust": rust, "python": python, "javascript": javascript, "go": go, "c": c,
}


def templates(run: Run, server: Mapping[str, str]) -> None:
    """Runs every template of every language that this machine can build; leaves a table of the seconds."""
    chosen, settings = [], {}
    for language, ready in LANGUAGES.items():
        kinds = sorted(folder.name for folder in (run.tree / "sdk" / language / "templates").glob("*") if folder.is_dir())
        if not kinds:
            raise Failed(f"there is no template in sdk/{language}/templates")
        try:
            settings |= ready(run) or {}
        except Skip as skip:
            run.skip(f"templates of {language}", str(skip))
            continue
        chosen += [f"{language}/{kind}" for kind in kinds]
    work = emptied(run, "templates")
    table = run.logs / TABLE
    table.unlink(missing_ok=True)
    run.command([environments.python(run), environments.CLIENTS / "projects.py", table, *chosen], cwd=work,
                env={**settings, **server})
    run.note(f"{len(chosen)} templates, seconds in {table.relative_to(run.tree)}")


def watch(run: Run, server: Mapping[str, str]) -> None:
    """Saves a source of each language again and again under `millrace watch`; leaves a table of the seconds."""
    chosen, settings = [], {}
    for language in WATCHED:
        try:
            settings |= LANGUAGES[language](run) or {}
        except Skip as skip:
            run.skip(f"watch of {language}", str(skip))
            continue
        chosen.append(language)
    table = run.logs / WATCH_TABLE
    table.unlink(missing_ok=True)
    run.command([environments.python(run), environments.CLIENTS / "save_to_live.py", table, str(SAVES), *chosen],
                cwd=emptied(run, "watch"), env={**settings, **server})
    run.note(f"{SAVES} saves of {len(chosen)} languages, seconds in {table.relative_to(run.tree)}")


def emptied(run: Run, name: str) -> Path:
    """A folder for projects, with nothing in it."""
    work = run.temporary / name
    cache.remove(work)
    work.mkdir(parents=True)
    return work
