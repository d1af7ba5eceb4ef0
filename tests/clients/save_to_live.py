#!/usr/bin/env python3
"""Measures how long a save takes until it is live: `millrace watch` beside a server, a change of one word in a
template's source, and the Lambda API asked until the answer has that word.

`python tests/clients/save_to_live.py TABLE SAVES LANGUAGE…`, in the folder where the projects are to be made, in the
environment of the client tests. TABLE, Markdown, gets the seconds of SAVES saves of each language."""

from __future__ import annotations

import base64
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from server import TOKEN, Server

# How long the first round may take, which installs and builds what the next ones use, and one save, seconds.
FIRST_SECONDS_MAX = 300
SAVE_SECONDS_MAX = 30
# Between two questions, and between a save that is live and the next, seconds.
ASK_SECONDS = 0.01
REST_SECONDS = 0.5

ORDERS = {"records": [{"recordId": "1", "data": base64.b64encode(b'{"level": "info"}').decode()}]}
# The source of each language's handler, the word in it that a template's tests replace by a setting, and an event
# whose answer has the word.
SOURCES = {
    "rust": ("src/lib.rs", "Hello", {"name": "Ada"}),
    "python": ("app.py", "dev", ORDERS),
    "javascript": ("app.js", "dev", ORDERS),
}


def words(payload: bytes) -> str:
    """What an answer says, with the data of its records."""
    answer = json.loads(payload)
    records = answer.get("records", []) if isinstance(answer, dict) else []
    return payload.decode() + "".join(base64.b64decode(record["data"]).decode() for record in records)


class Watched:
    """A project under `millrace watch`."""

    def __init__(self, server: Server, language: str) -> None:
        self.name, self.client, self.said = f"w-{language}", server.functions(), ""
        source, self.word, self.event = SOURCES[language]
        self.source = Path(self.name) / source
        self.log = Path(os.environ["MILLRACE_TEST_LOGS"]) / f"watch-{language}.log"
        env = {**os.environ, "MILLRACE_ENDPOINT": server.url, "MILLRACE_TOKEN": TOKEN}
        millrace = os.environ["MILLRACE_TEST_BINARY"]
        subprocess.run([millrace, "new", self.name, "-t", language, "--kind", "handler"], check=True, env=env)
        # A setting of the template would stand before the word in its source.
        manifest = Path(self.name) / "millrace.toml"
        manifest.write_text("".join(line for line in manifest.read_text().splitlines(True) if f'"{self.word}"' not in line))
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([millrace, "watch"], cwd=self.name, env=env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)

    def says(self, word: str) -> bool:
        """Whether what is live answers with `word`."""
        try:
            answer = self.client.invoke(FunctionName=self.name, Payload=json.dumps(self.event))
        except (self.client.exceptions.ResourceNotFoundException, self.client.exceptions.ResourceConflictException):
            # Not deployed yet, or the first of its name and not built yet.
            return False
        self.said = words(answer["Payload"].read())
        return "FunctionError" not in answer and word in self.said

    def until(self, word: str, seconds_max: float) -> None:
        """Asks until what is live says `word`."""
        end = time.monotonic() + seconds_max
        while not self.says(word):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{self.name} says {self.said}, not {word}: {self.log}\n{self.log.read_text()[-2000:]}")
            time.sleep(ASK_SECONDS)

    def save(self, number: int) -> float:
        """One save; the seconds until it is live."""
        word = f"word{number:04}"
        text = self.source.read_text().replace(self.word, word)
        begun = time.monotonic()
        self.source.write_text(text)
        self.until(word, SAVE_SECONDS_MAX)
        self.word = word
        return time.monotonic() - begun

    def stop(self) -> None:
        """Ends the watch as Ctrl-C does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=SAVE_SECONDS_MAX)


def measured(server: Server, language: str, saves: int) -> list[float]:
    """The seconds of each save, least first."""
    watched = Watched(server, language)
    try:
        watched.until(watched.word, FIRST_SECONDS_MAX)
        seconds = []
        for number in range(saves):
            time.sleep(REST_SECONDS)
            seconds.append(watched.save(number))
            print(f"{language}: {seconds[-1]:.2f} s", flush=True)
        return sorted(seconds)
    finally:
        watched.stop()


def percentile(ordered: list[float], share: float) -> float:
    """The least value that `share` of all do not pass."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def main(out: str, saves: str, *languages: str) -> int:
    """Measures each language, writes the table."""
    server = Server(name="save-to-live", env={})
    rows = ["| language | saves | p50 | p95 | most |", "|---|---:|---:|---:|---:|"]
    try:
        for language in languages:
            seconds = measured(server, language, int(saves))
            figures = [percentile(seconds, 0.5), percentile(seconds, 0.95), seconds[-1]]
            rows.append(f"| {language} | {saves} | " + " | ".join(f"{figure:.2f} s" for figure in figures) + " |")
    finally:
        server.stop()
        Path(out).write_text("\n".join(rows) + "\n")
    print("\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
