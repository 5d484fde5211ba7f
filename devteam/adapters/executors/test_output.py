"""Tests named in a runner's output: TAP, `go test -v`, `cargo test`, `unittest -v`, and pytest's verbose lines."""

import re

from devteam.executions.ports import TestReport

_LINE_LIMIT = 2_000
_NAME_LIMIT = 500
_TESTS_LIMIT = 50_000
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PATTERNS = (
    re.compile(
        r"^\s*(?P<tap>(?:not )?ok)\b\s*\d*\s*-?\s*(?P<name>[^#]*?)\s*(?:#\s*(?P<directive>skip|todo)\b.*)?$",
        re.IGNORECASE,
    ),
    re.compile(r"^\s*--- (?P<word>PASS|FAIL|SKIP): (?P<name>\S+) \("),
    re.compile(r"^test (?P<name>\S.*?) \.\.\. (?P<word>ok|FAILED|ignored)\b"),
    re.compile(r"^(?P<name>\w+ \([\w.]+\)) \.\.\. (?P<word>ok|FAIL|ERROR|skipped|expected failure)\b"),
    re.compile(r"^(?P<name>\S+::\S.*?) (?P<word>PASSED|FAILED|ERROR|SKIPPED|XFAIL)\b"),
)
_PASSED = {"ok", "pass", "passed", "expected failure", "xfail"}
_SKIPPED = {"skip", "skipped", "ignored"}


class TestOutput:
    """Hears a command's output as it comes, and keeps which tests it named."""

    __test__ = False

    def __init__(self) -> None:
        self._rest = ""
        self._passed: set[str] = set()
        self._failed: set[str] = set()
        self._skipped = 0

    def add(self, text: str) -> None:
        """The next piece."""
        *lines, rest = (self._rest + text).split("\n")
        self._rest = rest[-_LINE_LIMIT:]
        for line in lines:
            self._line(line)

    def report(self) -> TestReport | None:
        """What was heard; None when no test was named."""
        self._line(self._rest)
        self._rest = ""
        if not self._passed and not self._failed:
            return None
        return TestReport(frozenset(self._passed - self._failed), frozenset(self._failed), self._skipped)

    def _line(self, line: str) -> None:
        if len(line) > _LINE_LIMIT or len(self._passed) + len(self._failed) >= _TESTS_LIMIT:
            return
        plain = _ANSI.sub("", line)
        for pattern in _PATTERNS:
            if found := pattern.match(plain):
                self._found(found)
                return

    def _found(self, found: re.Match[str]) -> None:
        told = found.groupdict()
        name = (told["name"] or "").strip()[:_NAME_LIMIT]
        word = (told.get("word") or told["tap"]).lower()
        if told.get("directive") or word in _SKIPPED:
            self._skipped += 1
        elif not name:
            return  # a bare "ok" is said by many who are no test runner
        elif word in _PASSED:
            self._passed.add(name)
        else:
            self._failed.add(name)
