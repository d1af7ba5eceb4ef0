"""Owns the cache outside the tree: each tool is built once per version, in a temporary folder that is
renamed when whole, under a lock. A folder that exists is complete; nothing in it is changed later."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable, Iterator

# How many characters of a digest make a version of something that has none of its own.
DIGEST_CHARS = 12


def root() -> Path:
    """`$MILLRACE_TEST_CACHE`, else `millrace-tests` under the user's cache folder."""
    named = os.environ.get("MILLRACE_TEST_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "millrace-tests"


def digest(*parts: bytes | str) -> str:
    """A short digest of `parts`: the version of an environment that is made from files."""
    total = hashlib.sha256()
    for part in parts:
        part = part.encode() if isinstance(part, str) else part
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()[:DIGEST_CHARS]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds `path` locked against other processes; waits for them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def built(tool: str, version: str, build: Callable[[Path], None]) -> Path:
    """The folder of `tool` at `version`. `build(folder)` fills an empty one when there is none yet."""
    home = root() / f"{tool}-{version}"
    if home.is_dir():
        return home
    with locked(root() / "locks" / f"{tool}-{version}"):
        if home.is_dir():
            return home
        partial = Path(tempfile.mkdtemp(prefix=f".{tool}-", dir=root()))
        try:
            build(partial)
            partial.rename(home)
        finally:
            remove(partial)
    return home


def remove(folder: Path) -> None:
    """Deletes `folder` if it is there, read-only files (Go's module cache) included."""

    def writable(function, path, _error):
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700)
        function(path)

    if folder.exists():
        shutil.rmtree(folder, onerror=writable)
