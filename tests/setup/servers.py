"""Owns the real S3 servers of a run: started on free loopback ports when first asked for, in folders of
their own, stopped when the run ends however it ends."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from . import environments
from .report import Failed, Run

# How long a server may take until it answers, seconds.
START_SECONDS_MAX = 60
# How long a server may take to stop before it is killed, seconds.
STOP_SECONDS_MAX = 10
# Volumes that SeaweedFS may make; every bucket of a test needs one.
SEAWEED_VOLUMES_MAX = 512
# Of prctl(2).
PR_SET_PDEATHSIG = 1
# The bucket that every server gets, for the object sink's contract suite.
BUCKET = "millrace-contract"


@dataclass
class S3Server:
    """A running S3 server."""

    name: str
    endpoint: str
    access_key_id: str
    secret_access_key: str
    process: subprocess.Popen
    folder: Path

    def settings(self) -> dict[str, str]:
        """How tests find it: the environment of the contract suite and the clients."""
        return {
            "MILLRACE_TEST_S3_NAME": self.name,
            "MILLRACE_TEST_S3_ENDPOINT": self.endpoint,
            "MILLRACE_TEST_S3_BUCKET": BUCKET,
            "MILLRACE_TEST_S3_ACCESS_KEY_ID": self.access_key_id,
            "MILLRACE_TEST_S3_SECRET_ACCESS_KEY": self.secret_access_key,
        }


@dataclass
class Servers:
    """The servers of one run, by name."""

    run: Run
    started: dict[str, S3Server] = field(default_factory=dict)
    leftovers: list[Path] = field(default_factory=list)

    def minio(self) -> S3Server:
        """MinIO; raises `Skip` where it cannot be had."""
        return self.started.get("minio") or self._start_minio()

    def seaweedfs(self) -> S3Server:
        """SeaweedFS; raises `Skip` where it cannot be had."""
        return self.started.get("seaweedfs") or self._start_seaweedfs()

    def stop(self) -> None:
        """Stops all and deletes their folders; their logs stay."""
        for server in self.started.values():
            stop(server.process)
            shutil.rmtree(server.folder, ignore_errors=True)
        for path in self.leftovers:
            path.unlink(missing_ok=True)
        self.started.clear()

    def _start_minio(self) -> S3Server:
        program = environments.minio(self.run)
        port, console = free_ports(2)
        user, secret = "millrace", secrets.token_hex(16)
        folder = self._folder("minio")
        return self._start(
            "minio", port, user, secret, folder,
            [program, "server", folder, "--quiet", "--address", f"127.0.0.1:{port}",
             "--console-address", f"127.0.0.1:{console}"],
            {"MINIO_ROOT_USER": user, "MINIO_ROOT_PASSWORD": secret, "MINIO_UPDATE": "off", "MINIO_BROWSER": "off",
             "HOME": str(folder)})

    def _start_seaweedfs(self) -> S3Server:
        program = environments.seaweedfs(self.run)
        roles = ["master", "volume", "filer", "s3"]
        ports = free_ports(2 * len(roles))
        http, grpc = ports[:len(roles)], ports[len(roles):]
        user, secret = "millrace", secrets.token_hex(16)
        folder = self._folder("seaweedfs")
        identities = folder / "identities.json"
        identities.write_text(json.dumps({"identities": [
            {"name": user, "credentials": [{"accessKey": user, "secretKey": secret}], "actions": ["Admin"]}]}))
        data = folder / "data"
        data.mkdir()
        listen = [f"-{role}.port={port}" for role, port in zip(roles, http)]
        listen += [f"-{role}.port.grpc={port}" for role, port in zip(roles, grpc)]
        listen += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        listen += [f"-{role}.localSocket={role}.sock" for role in ("filer", "s3")]
        # It has no option for these, which it leaves behind.
        self.leftovers += [Path(f"/tmp/seaweedfs-{role}-grpc-{port}.sock") for role, port in zip(roles, grpc)]
        return self._start(
            "seaweedfs", http[roles.index("s3")], user, secret, folder,
            [program, "-logtostderr=true", "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
             "-s3", f"-s3.config={identities}", f"-volume.max={SEAWEED_VOLUMES_MAX}", "-master.volumeSizeLimitMB=512",
             "-master.telemetry=false", *listen],
            # A bucket takes volumes of its own: one at a time, not the seven that it would grow by.
            {"HOME": str(folder), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"})

    def _folder(self, name: str) -> Path:
        """A new folder for a server's data, in the run's temporary folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.run.temporary))

    def _start(self, name: str, port: int, user: str, secret: str, folder: Path,
               argv: list, env: dict[str, str]) -> S3Server:
        log = self.run.logs / f"server-{name}.log"
        with open(log, "w") as output:
            process = subprocess.Popen([str(part) for part in argv], stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, cwd=folder, env=self.run.environment(env),
                                       start_new_session=True, preexec_fn=end_with_parent)
        server = S3Server(name, f"http://127.0.0.1:{port}", user, secret, process, folder)
        self.started[name] = server
        create_bucket = [environments.python(self.run), environments.HERE / "make_bucket.py", BUCKET]
        deadline = time.monotonic() + START_SECONDS_MAX
        while not (answers(server.endpoint)
                   and subprocess.run([str(part) for part in create_bucket], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, check=False,
                                      env=self.run.environment(server.settings())).returncode == 0):
            if process.poll() is not None:
                raise Failed(f"{name} ended with {process.returncode} while starting: {log}")
            if time.monotonic() > deadline:
                raise Failed(f"{name} does not answer after {START_SECONDS_MAX} s: {log}")
            time.sleep(0.2)
        return server


def end_with_parent() -> None:
    """In a new child: has Linux kill it when `tests/run` itself is killed and cannot stop it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answers(endpoint: str) -> bool:
    """Whether anything speaks HTTP there."""
    try:
        urllib.request.urlopen(endpoint, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def stop(process: subprocess.Popen) -> None:
    """Ends a process that was started in a session of its own, and what it started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=STOP_SECONDS_MAX)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
