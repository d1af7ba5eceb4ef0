"""Owns the Rust side of the set-up: the WebAssembly target, and the example functions built for it."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from .report import Failed, Run, Skip

WASM_TARGET = "wasm32-unknown-unknown"
# What Debian needs to build the standard library for the target from its own source.
DEBIAN_PACKAGES = ["rustc-web", "cargo-web", "rust-web-src"]
DEBIAN_CARGO = Path("/usr/bin/cargo")
DEBIAN_RUSTC = Path("/usr/bin/rustc")
# rustc's sysroot of Debian's packages holds the source here once rust-web-src is there.
DEBIAN_SOURCE = "lib/rustlib/src/rust/library/std"


def sysroot(run: Run) -> Path:
    """The sysroot of the toolchain that `rust-toolchain.toml` pins; rustup installs it on this call."""
    found = run.output(["rustc", "--print", "sysroot"])
    if found is None:
        raise Failed("rustc does not start: install rustup, it brings the pinned toolchain by itself")
    return Path(found)


def has_target(run: Run) -> bool:
    """Whether the pinned toolchain has the WebAssembly target."""
    return (sysroot(run) / "lib" / "rustlib" / WASM_TARGET).is_dir()


def toolchain(run: Run) -> None:
    """Step: the pinned toolchain and a way to build guests; says which way it took."""
    version = run.output(["rustc", "--version"]) or "no rustc"
    if not has_target(run) and shutil.which("rustup"):
        run.output(["rustup", "target", "add", WASM_TARGET])
    if has_target(run):
        run.note(f"{version}; guests are built with rustup's {WASM_TARGET}")
        return
    install_debian(run)
    run.note(f"{version}; {WASM_TARGET} is not to be had from rustup, guests are built with Debian's "
             f"{DEBIAN_PACKAGES[0]} and a standard library built from its source")


def debian_ready(run: Run) -> bool:
    """Whether Debian's compiler for WebAssembly and its source are installed."""
    if not (DEBIAN_CARGO.exists() and DEBIAN_RUSTC.exists()):
        return False
    root = run.output([DEBIAN_RUSTC, "--print", "sysroot"])
    return root is not None and (Path(root) / DEBIAN_SOURCE).exists()


def install_debian(run: Run) -> None:
    """Installs Debian's packages where they are missing and this user may."""
    if debian_ready(run):
        return
    wanted = f"apt-get install -y --no-install-recommends {' '.join(DEBIAN_PACKAGES)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Failed(f"no {WASM_TARGET}: run `rustup target add {WASM_TARGET}`, or as root `{wanted}`")
    run.command(["apt-get", "update"])
    run.command(wanted.split())


def guest_build(run: Run) -> tuple[list[str], dict[str, str]]:
    """Command (without sub-command) and environment that build for WebAssembly here."""
    if has_target(run):
        return ["cargo"], {}
    if not debian_ready(run):
        raise Failed(f"no way to build for {WASM_TARGET}: run the step `toolchain` first")
    linker = sysroot(run) / "lib" / "rustlib" / f"{platform.machine()}-unknown-linux-gnu" / "bin" / "rust-lld"
    return [str(DEBIAN_CARGO)], {
        "RUSTC_BOOTSTRAP": "1",
        "RUSTC": str(DEBIAN_RUSTC),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(linker),
        "CARGO_UNSTABLE_BUILD_STD": "std,panic_abort",
    }


def guests(run: Run) -> None:
    """Step: `guest-examples/` built for WebAssembly."""
    folder = run.tree / "guest-examples"
    if not (folder / "Cargo.toml").is_file():
        raise Skip("there is no guest-examples/Cargo.toml")
    command, env = guest_build(run)
    run.command([*command, "build", "--release", "--target", WASM_TARGET, "--target-dir", folder / "target"],
                cwd=folder, env=env)
    built = sorted((folder / "target" / WASM_TARGET / "release").glob("*.wasm"))
    if not built:
        raise Failed("no example function was built")
    run.note(f"{len(built)} functions")
