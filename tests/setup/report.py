"""Owns one run of the tests: its steps, their logs, what was skipped and why, and the closing line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Sequence
from xml.etree import ElementTree

# Lines of a failed step's log that are shown; the whole log stays in its file.
TAIL_LINES = 120


class Skip(Exception):
    """The step cannot run on this machine; the text says why."""


class Failed(Exception):
    """The step found something wrong; the text says what."""


@dataclass
class Run:
    """One run: where things are, and what came of it so far."""

    tree: Path
    cache: Path
    require_all: bool = False
    passed: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    log_path: Path | None = None

    @property
    def logs(self) -> Path:
        """Folder of the logs of steps and servers."""
        return self.tree / "target" / "test-logs"

    @property
    def temporary(self) -> Path:
        """Temporary folder of all children; deleted at the end of a run."""
        return self.tree / "target" / "test-tmp"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The process environment for a child: what writes caches is pointed into ours."""
        cache = self.cache
        return {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "CARGO_TERM_COLOR": "never",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PIP_CACHE_DIR": str(cache / "pip"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "npm_config_cache": str(cache / "npm"),
            "npm_config_update_notifier": "false",
            "GOPATH": str(cache / "go"),
            "GOMODCACHE": str(cache / "go" / "mod"),
            "GOCACHE": str(cache / "go" / "build"),
            **(extra or {}),
        }

    def command(self, argv: Sequence[str | Path], *, cwd: Path | None = None,
                env: Mapping[str, str] | None = None, seconds: float | None = None) -> None:
        """Runs `argv`, its output into the step's log; raises `Failed` when it does not end with 0, or not within
        `seconds`: then what it started is killed with it."""
        argv = [str(part) for part in argv]
        with open(self.log_path or os.devnull, "a") as log:
            log.write(f"$ {' '.join(argv)}\n")
            log.flush()
            process = subprocess.Popen(argv, cwd=cwd or self.tree, env=self.environment(env), stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=subprocess.STDOUT, start_new_session=seconds is not None)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise Failed(f"`{' '.join(argv)}` did not end within {seconds} s") from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL) if seconds is not None else process.kill()
                    process.wait()
        if process.returncode:
            raise Failed(f"`{' '.join(argv)}` ended with {process.returncode}")

    def cases(self, report: Path, what: str) -> int:
        """How many tests a JUnit report of pytest has; notes those that were skipped."""
        if not report.is_file():
            return 0
        found = ElementTree.parse(report).findall(".//testcase")
        for case in found:
            skipped = case.find("skipped")
            if skipped is not None:
                self.skip(f"{what} {case.get('name')}", skipped.get("message") or "no reason given")
        return len(found)

    def output(self, argv: Sequence[str | Path], *, cwd: Path | None = None) -> str | None:
        """What `argv` prints, stripped; `None` when it is not there or fails."""
        try:
            done = subprocess.run([str(part) for part in argv], cwd=cwd or self.tree, env=self.environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    def skip(self, what: str, why: str) -> None:
        """Notes that a part of the tests cannot run here."""
        self.skips.append(f"{what}: {why}")
        say(f"skip  {what}: {why}")

    def note(self, text: str) -> None:
        """Says something about the running step in its result line."""
        self.notes.append(text)

    def step(self, name: str, action: Callable[[Run], None]) -> None:
        """Runs one step and prints its line."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.log_path = self.logs / f"{name}.log"
        self.log_path.write_text("")
        self.notes = []
        say(f"      {name} …")
        started = time.monotonic()
        try:
            action(self)
        except Skip as skip:
            self.skip(name, str(skip))
            return
        except Exception as failure:
            if not isinstance(failure, Failed):
                with open(self.log_path, "a") as log:
                    traceback.print_exc(file=log)
            self.failures.append(f"{name}: {failure}")
            self._show_tail(name, failure)
            return
        self.passed += 1
        remarks = "".join(f"; {note}" for note in self.notes)
        say(f"ok    {name}  {time.monotonic() - started:.1f} s{remarks}")

    def _show_tail(self, name: str, failure: Exception) -> None:
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path else []
        for line in lines[-TAIL_LINES:]:
            say(f"    | {line}")
        say(f"FAIL  {name}: {failure} (whole log: {self.log_path})")

    def close(self) -> int:
        """Prints the closing lines; the exit code of the run."""
        failed = list(self.failures)
        if self.require_all:
            failed += [f"{skip} (a skip fails under --require all)" for skip in self.skips]
        for line in failed:
            say(f"failed: {line}")
        skipped = 0 if self.require_all else len(self.skips)
        say(f"{self.passed} passed, {len(failed)} failed, {skipped} skipped")
        return 1 if failed or not self.passed else 0


def say(line: str) -> None:
    """One line for the person who watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
