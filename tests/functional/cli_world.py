"""The real command line, run against a data folder or an address."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devteam.entrypoints.cli import main

SECONDS = 60
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True)
class Answer:
    """What a command did."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cli:
    """`devteam` with an environment of its own: nothing of the developer's leaks in."""

    cwd: Path
    environment: dict[str, str] = field(default_factory=dict)

    def variables(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {**inherited, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "200", **self.environment, **(extra or {})}

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """A command that runs beside the test; the caller ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "devteam", *words],
            cwd=self.cwd,
            env=self.variables(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def __call__(self, *words: str | bytes, env: Mapping[str, str] | None = None) -> Answer:
        """Run a command to its end, as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "devteam", *words],
            cwd=self.cwd,
            env=self.variables(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def inside(self, *words: str | bytes, env: Mapping[str, str] | None = None) -> Answer:
        """Run a command to its end inside this process, which takes a hundredth of the time."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        before, arguments, folder = dict(os.environ), sys.argv, Path.cwd()
        try:
            os.environ.clear()
            os.environ.update(self.variables(env))
            os.chdir(self.cwd)
            sys.argv = ["devteam", *[os.fsdecode(word) for word in words]]
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        finally:
            os.environ.clear()
            os.environ.update(before)
            os.chdir(folder)
            sys.argv = arguments
        return Answer(int(str(ended.value.code)), _text(out), _text(err))

    def ok(self, *words: str, env: Mapping[str, str] | None = None) -> str:
        """Run a command that must work and say nothing on standard error; what it printed."""
        answer = self.inside(*words, env=env)
        assert (answer.code, answer.err) == (0, ""), answer
        return answer.out

    def json(self, *words: str, env: Mapping[str, str] | None = None) -> Any:
        """The same with `--json`; what it printed, read."""
        return json.loads(self.ok(*words, "--json", env=env))

    def refused(self, *words: str | bytes, code: int = 2, env: Mapping[str, str] | None = None) -> str:
        """Run a command that must be refused with one line on standard error and nothing else; that line."""
        answer = self.inside(*words, env=env)
        assert answer.code == code, answer
        assert answer.out == "", answer
        lines = answer.err.splitlines()
        assert len(lines) == 1, answer
        assert lines[0].startswith("devteam: "), answer
        assert "Traceback" not in answer.err
        return lines[0].removeprefix("devteam: ")


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
