"""Holds `cargo metadata` against `.ci/deny.toml` where cargo-deny is not installed: licences, sources, and
which crate may name a heavy one. Reads the same file, so there is one truth. Usage: deny.py deny.toml, in the tree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

try:
    import tomllib
except ImportError:
    import tomli as tomllib


def accepted(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with `allowed` licences only."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", expression)
    tokens = ["OR" if token == "/" else token for token in tokens]
    verdict, rest = either(tokens, allowed)
    return verdict and not rest


def either(tokens: list[str], allowed: set[str]) -> tuple[bool, list[str]]:
    """`a OR b`: the verdict, and the tokens that follow."""
    verdict, rest = both(tokens, allowed)
    while rest and rest[0].upper() == "OR":
        right, rest = both(rest[1:], allowed)
        verdict = verdict or right
    return verdict, rest


def both(tokens: list[str], allowed: set[str]) -> tuple[bool, list[str]]:
    """`a AND b`, which binds tighter."""
    verdict, rest = one(tokens, allowed)
    while rest and rest[0].upper() == "AND":
        right, rest = one(rest[1:], allowed)
        verdict = verdict and right
    return verdict, rest


def one(tokens: list[str], allowed: set[str]) -> tuple[bool, list[str]]:
    """A licence, with its exception when it has one, or an expression in brackets."""
    if not tokens:
        return False, []
    if tokens[0] == "(":
        verdict, rest = either(tokens[1:], allowed)
        return (verdict, rest[1:]) if rest[:1] == [")"] else (False, rest)
    name, rest = tokens[0], tokens[1:]
    if rest[:1] == ["WITH"]:
        return f"{name} WITH {rest[1]}" in allowed, rest[2:]
    return name in allowed, rest


def licence_faults(packages: list[dict], rules: dict) -> list[str]:
    """Packages whose licence is not allowed."""
    allowed = set(rules.get("allow", []))
    exceptions = {entry.get("crate") or entry.get("name"): set(entry["allow"]) for entry in rules.get("exceptions", [])}
    faults = []
    for package in packages:
        licence = package["license"] or ""
        if not accepted(licence, allowed | exceptions.get(package["name"], set())):
            faults.append(f"{package['name']} {package['version']}: licence `{licence}` is not allowed")
    return faults


def ban_faults(packages: list[dict], nodes: list[dict], rules: dict) -> list[str]:
    """Banned crates that are there, or that another than their wrappers depends on."""
    names = {package["id"]: package["name"] for package in packages}
    parents: dict[str, set[str]] = {}
    for node in nodes:
        for dependency in node["deps"]:
            parents.setdefault(names[dependency["pkg"]], set()).add(names[node["id"]])
    faults = []
    for entry in rules.get("deny", []):
        crate = entry.get("crate") or entry.get("name")
        if crate not in names.values():
            continue
        wrappers = set(entry.get("wrappers", []))
        if not wrappers:
            faults.append(f"{crate} is banned: {entry.get('reason', 'no reason given')}")
        for parent in sorted(parents.get(crate, set()) - wrappers if wrappers else ()):
            faults.append(f"{parent} may not depend on {crate}: {entry.get('reason', 'not one of its wrappers')}")
    return faults


def duplicate_warnings(packages: list[dict], rules: dict) -> list[str]:
    """Crates that are there in several versions and not excused."""
    excused = {re.split(r"[@:]", entry.get("crate") or entry.get("name"))[0] for entry in rules.get("skip", [])}
    versions: dict[str, list[str]] = {}
    for package in packages:
        versions.setdefault(package["name"], []).append(package["version"])
    return [f"{name} is there as {', '.join(sorted(found))}"
            for name, found in sorted(versions.items()) if len(found) > 1 and name not in excused]


def resolved(targets: list[str]) -> dict:
    """The locked graph of the workspace in the current folder, for `targets` only."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    for target in targets:
        command += ["--filter-platform", target]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit("error: the dependencies cannot be resolved from Cargo.lock")
    return json.loads(done.stdout)


def main() -> int:
    """Checks the workspace in the current folder; prints what is wrong."""
    rules = tomllib.loads(Path(sys.argv[1]).read_text())
    metadata = resolved(rules["graph"]["targets"])
    packages, nodes = metadata["packages"], metadata["resolve"]["nodes"]
    faults = licence_faults(packages, rules["licenses"]) + ban_faults(packages, nodes, rules["bans"])
    faults += [f"{package['name']}: comes from {package['source']}" for package in packages
               if package["source"] and "crates.io-index" not in package["source"]]
    for warning in duplicate_warnings(packages, rules["bans"]):
        print(f"warning: {warning}")
    for fault in faults:
        print(f"error: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
