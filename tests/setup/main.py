"""Owns the command line of `tests/run` and the order of its steps."""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import signal
import sys
from pathlib import Path

from . import cache, crash, environments, sdks, templates, toolchain
from .report import Failed, Run, Skip, say
from .servers import Servers

# Workspaces of Rust in this tree: the product, what guests link, the guests.
WORKSPACES = (".", "sdk/rust", "guest-examples")


class Steps:
    """The steps, as methods; `ORDER` names them."""

    def __init__(self, servers: Servers, pytest: list[str]) -> None:
        self.servers = servers
        self.pytest = pytest

    def setup(self, run: Run) -> None:
        """Everything that is installed for the tests; starts each S3 server once."""
        environments.python(run)
        for name, make in {
            "MinIO": self.servers.minio,
            "SeaweedFS": self.servers.seaweedfs,
            "JavaScript client": lambda: environments.node_modules(run),
            "Go client": lambda: environments.go_client(run),
            "Java client": lambda: environments.java_classes(run),
        }.items():
            try:
                make()
            except Skip as skip:
                run.skip(name, str(skip))
            else:
                run.note(name)

    def fmt(self, run: Run) -> None:
        """Formatting of every workspace."""
        for folder in workspaces(run):
            run.command(["cargo", "fmt", "--all", "--check", "--", "--color=never"], cwd=folder)

    def clippy(self, run: Run) -> None:
        """Lints of every workspace; a warning is an error."""
        flags = ["--release", "--workspace", "--all-targets"]
        for folder in workspaces(run):
            command, env, target = ["cargo"], {}, []
            if folder.name == "guest-examples":
                # Guests are linted as what they are: Debian's fallback has no clippy for the target.
                if not toolchain.has_target(run):
                    run.note("guests are not linted without rustup's target")
                    continue
                flags, target = ["--release", "--workspace"], ["--target", toolchain.WASM_TARGET]
            run.command([*command, "clippy", *flags, *target, "--", "-D", "warnings"], cwd=folder, env=env)

    def deny(self, run: Run) -> None:
        """Licences, sources and wrappers: by our reader of `.ci/deny.toml`, and by cargo-deny where it is."""
        rules = run.tree / ".ci" / "deny.toml"
        run.command([environments.python(run), environments.HERE / "deny.py", rules])
        if run.output(["cargo", "deny", "--version"]):
            run.command(["cargo", "deny", "check", "--config", rules, "licenses", "bans", "sources"])
            run.note("with cargo-deny")

    def build(self, run: Run) -> None:
        """The product and the tests' own programs. Every step selects the whole workspace, so that cargo
        unifies features the same way each time and compiles a dependency once. A feature of one crate is named
        from outside (`--workspace --features CRATE/FEATURE`): `-p CRATE` alone would unify anew and compile
        dependencies again. `-p CRATE -p millrace-server -p millrace-tests` unifies as the workspace does."""
        run.command(["cargo", "build", "--release", "--workspace"])

    def demo(self, run: Run) -> None:
        """What a new user runs first."""
        run.command([binary(run), "demo"])

    def test(self, run: Run) -> None:
        """Unit, property and contract tests, those of the object sink against a real S3 server, and the SDK's."""
        run.command(["cargo", "test", "--release", "--workspace", "--lib", "--bins"], env=self.s3_any(run))
        run.command(["cargo", "test", "--release", "--workspace", "--doc"])
        if (run.tree / "sdk" / "rust" / "Cargo.toml").is_file():
            run.command(["cargo", "test", "--release", "--workspace"], cwd=run.tree / "sdk" / "rust")
        run.note(counted(run))

    def languages(self, run: Run) -> None:
        """The SDKs of Python and JavaScript, natively and as components; that of Go natively, and guests in Go and C:
        built, and run through the deploy's way."""
        sdks.suites(run, binary(run))
        if shutil.which("go") is None:
            run.skip("SDK and guests in Go and C", "there is no Go")
            return
        run.command(["go", "test", "./..."], cwd=run.tree / "sdk" / "go")
        run.command([run.tree / "guest-examples" / "languages.sh"], env={"PYTHON": str(environments.python(run))})
        # The measurement is for who asks for it.
        run.command(["cargo", "test", "--release", "--workspace", "--test", "languages", "--",
                     "--ignored", "--skip", "what_a_batch_costs"])
        run.note(f"{counted(run)} of guests")

    def integration(self, run: Run) -> None:
        """The tests beside the crates: tidiness of the tree, the whole server from outside, and the object
        sink's contract against each real S3 server."""
        run.command(["cargo", "test", "--release", "--workspace", "--test", "*"], env={**self.s3_any(run), **self.from_outside(run)})
        for name, server in self.servers.started.items():
            run.command(["cargo", "test", "--release", "--workspace", "--lib", "--test", "*", "contract"], env={**server.settings(), **self.from_outside(run)})
            run.note(f"contract against {name}")
        run.note(counted(run))

    def from_outside(self, run: Run) -> dict[str, str]:
        """Where tests of the whole server find it, the example functions and the S3 servers."""
        for server in (self.servers.minio, self.servers.seaweedfs):
            can(server, run)
        listed = [server.settings() for server in self.servers.started.values()]
        return {**product(run), "MILLRACE_TEST_LOGS": str(run.logs), "MILLRACE_TEST_S3_SERVERS": json.dumps(listed)}

    def s3_any(self, run: Run) -> dict[str, str]:
        """One S3 server, for suites that know of one only."""
        for server in (self.servers.minio, self.servers.seaweedfs):
            if can(server, run):
                return server().settings()
        return {}

    def clients(self, run: Run) -> None:
        """Real clients and independent readers against the real server."""
        report = run.logs / "clients.xml"
        report.unlink(missing_ok=True)
        env = self.from_outside(run)
        for name, make in {
            "MILLRACE_TEST_NODE_MODULES": environments.node_modules,
            "MILLRACE_TEST_GO_CLIENT": environments.go_client,
            "MILLRACE_TEST_JAVA_CLASSES": environments.java_classes,
        }.items():
            try:
                env[name] = str(make(run))
            except Skip:
                continue
        try:
            run.command([environments.python(run), environments.CLIENTS / "run.py", f"--junitxml={report}",
                         f"--basetemp={run.temporary / 'clients'}", *self.pytest], env=env)
        finally:
            run.note(f"{run.cases(report, 'client test')} tests")

    def templates(self, run: Run) -> None:
        """Every template of `millrace new`: built, tested, deployed, behind a stream, with the seconds of each."""
        templates.templates(run, {**product(run), "MILLRACE_TEST_LOGS": str(run.logs)})

    def watch(self, run: Run) -> None:
        """By hand: the seconds from a save under `millrace watch` until it is live."""
        templates.watch(run, {**product(run), "MILLRACE_TEST_LOGS": str(run.logs)})

    def crash(self, run: Run) -> None:
        """The oracle: `kill -9` at random times under load, nothing lost, nothing twice."""
        crash.judged(run, binary(run), product(run), crash.CRASH_CYCLES, "crash")

    def planted(self, run: Run) -> None:
        """Bugs on purpose, each of which must be caught."""
        crash.planted(run, binary(run), product(run))

    def long(self, run: Run) -> None:
        """By hand: the oracle's set with many more kills."""
        crash.judged(run, binary(run), product(run), crash.LONG_CYCLES, "long")

    def load(self, run: Run) -> None:
        """By hand: every row of docs/performance.md, with its floors."""
        table = run.logs / "load.md"
        run.command([binary(run).with_name("load"), "all", "--minio", environments.minio(run), "--out", table],
                    env=product(run))
        run.note(f"table in {table.relative_to(run.tree)}")


ORDER = ["toolchain", "guests", "setup", "fmt", "clippy", "deny", "build", "demo", "test", "languages", "integration",
         "clients", "templates", "crash", "planted"]
# Steps that run only when named: they take long, and their figures go into the documentation.
BY_HAND = ["long", "load", "watch"]


def workspaces(run: Run) -> list[Path]:
    """Those of `WORKSPACES` that are there."""
    return [run.tree / name for name in WORKSPACES if (run.tree / name / "Cargo.toml").is_file()]


def can(server, run: Run) -> bool:
    """Whether a server is to be had; its skip was noted by the step `setup`."""
    try:
        server()
    except Skip as skip:
        if not any(str(skip) in noted for noted in run.skips):
            run.skip("S3 server", str(skip))
        return False
    return True


def binary(run: Run) -> Path:
    """The server that was built."""
    metadata = run.output(["cargo", "metadata", "--format-version", "1", "--no-deps"])
    folder = Path(json.loads(metadata)["target_directory"]) if metadata else run.tree / "target"
    found = folder / "release" / "millrace"
    if not found.is_file():
        raise Failed(f"{found} is not there: run the step `build` first")
    return found


def product(run: Run) -> dict[str, str]:
    """Where tests of the whole server find it, and the example functions."""
    guests = run.tree / "guest-examples" / "target" / toolchain.WASM_TARGET / "release"
    return {"MILLRACE_TEST_BINARY": str(binary(run)), "MILLRACE_TEST_GUESTS": str(guests)}


def counted(run: Run) -> str:
    """How many tests the closing lines of `cargo test` in the step's log count."""
    words = [line.split() for line in run.log_path.read_text(errors="replace").splitlines()
             if line.startswith("test result: ")]
    return f"{sum(int(line[3]) for line in words)} tests"


def arguments(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__)
    parser.add_argument("--require", choices=["all"], help="`all`: a skip is a failure")
    parser.add_argument("--only", nargs="+", metavar="STEP", choices=ORDER + BY_HAND,
                        help=f"these steps, in their order; {' and '.join(BY_HAND)} run only when named")
    parser.add_argument("--pytest", nargs=argparse.REMAINDER, default=[], help="what follows goes to the step `clients`")
    parser.add_argument("--list", action="store_true", help="print the steps and end")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Runs the steps; 0 when all passed."""
    chosen = arguments(argv)
    if chosen.list:
        say("\n".join(ORDER + [f"{name} (only when named)" for name in BY_HAND]))
        return 0
    run = Run(Path(__file__).resolve().parents[2], cache.root(), require_all=chosen.require == "all")
    run.logs.mkdir(parents=True, exist_ok=True)
    run.cache.mkdir(parents=True, exist_ok=True)
    run.temporary.mkdir(parents=True, exist_ok=True)
    servers = Servers(run)
    steps = Steps(servers, chosen.pytest)
    for sign in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, lambda number, _frame: sys.exit(128 + number))
    with open(run.logs / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("another tests/run works in this tree")
            return 1
        try:
            for name in ORDER + BY_HAND:
                if name in (chosen.only or ORDER):
                    run.step(name, getattr(steps, name, None) or getattr(toolchain, name))
        finally:
            servers.stop()
            cache.remove(run.temporary)
    return run.close()
