"""Owns what `tests/run` does with the oracle: the set of CI, the planted bugs, and the long runs by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Mapping

from . import environments
from .report import Failed, Run, Skip

# Kills of each run of the set in CI.
CRASH_CYCLES = 20
# Kills of each run of the step `long`.
LONG_CYCLES = 200
# Kills of each run with a planted bug, and the load before each, milliseconds: many short ones. `no-intent` shows only
# where a kill falls between a put and its commit, which that plant makes longer.
PLANTED_CYCLES = 30
PLANTED_LOAD_MS = (50, 400)
# One seed: the same records and the same times of kills in each run.
PLANTED_SEED = 11
# The crates' feature that holds the bugs. Named from outside the crate: the whole workspace stays selected.
PLANTED_FEATURE = "millrace-server/planted"
# What `MILLRACE_PLANT` knows.
PLANTED_BUGS = ("ack-before-fsync", "commit-before-put", "no-intent", "outbox-ignored")
# The crash model of the journal, on its fake disk that keeps live and durable images apart.
MODEL = "journal::tests::model"
# Options of the oracle that take the S3 servers' programs.
S3_PROGRAMS = {"--minio": environments.minio, "--weed": environments.seaweedfs}


def judged(run: Run, server: Path, env: Mapping[str, str], cycles: int, name: str) -> None:
    """The whole set of the oracle; its table is left in the folder of the logs."""
    table = run.logs / f"{name}.md"
    table.unlink(missing_ok=True)
    options = []
    for option, program in S3_PROGRAMS.items():
        try:
            options += [option, program(run)]
        except Skip as skip:
            # The step `setup` may have noted it already.
            if not any(str(skip) in noted for noted in run.skips):
                run.skip(f"oracle {option}", str(skip))
    run.command([server.with_name("oracle"), "--cycles", str(cycles), "--table", table, *options],
                env={**env, **kept(run)})
    run.note(f"{cycles} cycles a run, table in {table.relative_to(run.tree)}")


def kept(run: Run) -> dict[str, str]:
    """Where the oracle works: beside the logs, for the folder of a bad run has to outlive this one."""
    folder = run.logs / "oracle"
    folder.mkdir(parents=True, exist_ok=True)
    return {"TMPDIR": str(folder)}


def planted(run: Run, server: Path, env: Mapping[str, str]) -> None:
    """A server with bugs on purpose: each must be found, or a judge that never finds anything proves nothing.

    ack-before-fsync as it is planted holds a group in memory, which `kill -9` shows. Its quieter form, written and
    not synced, outlives a kill in the page cache: that one the crash model of the journal sees. It is shown to both.
    """
    bad = server.with_name("millrace-planted")
    caught = []
    try:
        # In the same target folder and with the same selection as `build`, so that only our own crates are built
        # again.
        run.command(["cargo", "build", "--release", "--workspace", "--features", PLANTED_FEATURE])
        shutil.copy(server, bad)
        model = model_tests(run)
    finally:
        # The good server comes back, whatever happened.
        run.command(["cargo", "build", "--release", "--workspace"])
    run.command([model, MODEL])
    if fails(run, [model, MODEL], {"MILLRACE_PLANT": PLANTED_BUGS[0]}):
        caught.append("model")
    oracle = [server.with_name("oracle"), "--store", "local", "--function", "identity",
              "--cycles", str(PLANTED_CYCLES), "--seed", str(PLANTED_SEED),
              "--load-ms-min", str(PLANTED_LOAD_MS[0]), "--load-ms-max", str(PLANTED_LOAD_MS[1])]
    env = {**env, **kept(run), "MILLRACE_TEST_BINARY": str(bad)}
    # Without a bug the same binary passes: else a bug that is "found" would prove nothing.
    run.command([*oracle, "--server-env", "MILLRACE_PLANT=none"], env=env)
    for bug in PLANTED_BUGS:
        if not fails(run, [*oracle, "--server-env", f"MILLRACE_PLANT={bug}", "--expect-violation"], env):
            caught.append(bug)
    bad.unlink()
    run.note(f"planted bugs caught: {len(caught)} of {len(PLANTED_BUGS) + 1}")
    missed = {"model", *PLANTED_BUGS} - set(caught)
    if missed:
        raise Failed(f"not caught: {', '.join(sorted(missed))}")


def model_tests(run: Run) -> Path:
    """The journal's tests with the bug in them."""
    # With the server and the tests beside it, cargo unifies features as for the whole workspace: nothing but the
    # journal's own tests is compiled.
    build = ["cargo", "test", "--release", "-p", "millrace-log", "-p", "millrace-server", "-p", "millrace-tests",
             "--lib", "--features", PLANTED_FEATURE, "--no-run"]
    run.command(build)
    listed = run.output([*build, "--message-format", "json"]) or ""
    for message in map(json.loads, listed.splitlines()):
        if message.get("executable") and message["target"]["name"] == "millrace_log":
            return Path(message["executable"])
    raise Failed("cargo names no tests of millrace-log")


def fails(run: Run, argv: list, env: Mapping[str, str]) -> bool:
    """Whether a command ends with an error."""
    try:
        run.command(argv, env=env)
    except Failed:
        return True
    return False
