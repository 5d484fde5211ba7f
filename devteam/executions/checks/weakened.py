"""Whether tests lost some of their strength: the quickest way to green that is none."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from devteam.executions.checks.changes import FileChange
from devteam.executions.checks.patterns import matches
from devteam.executions.checks.verdict import Facts, Tested, Verdict, listed, shown
from devteam.executions.lifecycle import Measure
from devteam.projects.gates import WeakenedTestOptions

_CODE: Final = re.compile(r"\.(py|[cm]?[jt]sx?|go|rs|java|kt|kts|cs|rb|php|ex|exs|swift|scala|c|cc|cpp|h|hpp|feature)$")
_TEST_PATH: Final = re.compile(
    r"(^|/)(tests?|__tests__|specs?|testing|e2e)/|(^|/)(test_[^/]*|conftest)\.py$|_test\.\w+$|_spec\.\w+$"
    r"|\.(test|spec|cy)\.[cm]?[jt]sx?$|(Test|Tests|Spec|IT)\.(java|kt|cs|scala|php|swift)$"
)
_SETTINGS_PATH: Final = re.compile(
    r"(^|/)(pytest\.ini|tox\.ini|setup\.cfg|pyproject\.toml|noxfile\.py|conftest\.py|package\.json|Makefile"
    r"|(jest|vitest|playwright|karma)\.config\.[cm]?[jt]s|\.mocharc\.\w+)$"
)

_COMMENT: Final = re.compile(r"^\s*(#(?!\[)|//|\*|/\*|--|\"\"\"|''')")
_TEST: Final = re.compile(
    r"^\s*(?:async\s+)?def\s+(?P<py>test\w*)\s*\(|^\s*class\s+(?P<pyclass>Test\w*)\b"
    r"|^\s*func\s+(?:\([^)]{0,80}\)\s*)?(?P<go>(?:Test|Fuzz|Example)\w*)\s*\("
    r"|(?<![\w.])(?:it|test|scenario|specify)(?:\.\w+(?:\([^)]{0,200}\))?)*\s*\(?\s*(?P<quote>['\"`])(?P<js>.{1,300}?)(?P=quote)"
    r"|^\s*(?:#\[(?:\w+::)?(?:test|rstest)\b|@(?:Test|ParameterizedTest|RepeatedTest)\b|\[(?:Fact|Theory|Test|TestMethod)\b)"
    r"|^\s*Scenario:\s*(?P<feature>.{1,200})"
)
_SKIP: Final = re.compile(
    r"pytest\.mark\.(?:skip|skipif|xfail)\b|(?<![\w.])mark\.(?:skip|skipif|xfail)\b|pytest\.(?:skip|xfail)\s*\("
    r"|importorskip\s*\(|unittest\.(?:skip|skipIf|skipUnless|expectedFailure)\b|@(?:skip|skipIf|expectedFailure)\b"
    r"|\.skipTest\s*\(|SkipTest\b|\b(?:it|test|describe|context|suite)\.(?:skip|todo|failing|fixme|only)\b"
    r"|(?<![\w.])(?:xit|xtest|xdescribe|xcontext|fit|fdescribe)\s*\(|\bt\.Skip(?:Now|f)?\s*\(|#\[ignore\b"
    r"|@(?:Disabled|Ignore)\b|\[Ignore\b|\bSkip\s*=\s*\"|^\s*(?:pending|skip)\s+['\"]"
)
_LEFT_OUT: Final = re.compile(
    r"--ignore(?:-glob)?[=\s]\S{0,200}(?:test|spec)|--deselect\b|\bcollect_ignore(?:_glob)?\b|testPathIgnorePatterns|-k\s*['\"]?not\b"
    r"|-m\s*['\"]?not\b|--passWithNoTests|\bnorecursedirs\b|--exitfirst\b|\|\|\s*true\b"
)
_ASSERTION: Final = re.compile(
    r"\bassert\b|\bassert\w*!?\s*\(|\bassert_\w+|\bself\.(?:assert\w+|fail)\s*\(|\bpytest\.(?:raises|warns|fail)\b|\bexpect\w*\s*\("
    r"|\bassert\.\w+|\brequire\.\w+\s*\(|\bt\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\s*\(|\.should\b"
    r"|\bAssert\.\w+\s*\(|\bassertThat\s*\("
)
_EMPTY_ASSERTION: Final = re.compile(
    r"\bassert\s*\(?\s*(?:True|1|not False|\"[^\"]*\"|'[^']*')\s*\)?\s*(?:#|,|$)"
    r"|\bassertTrue\s*\(\s*(?:True|true)\s*[,)]"
    r"|\bexpect\(\s*(true|1|false|0)\s*\)\.to(?:Be|Equal|StrictEqual)\(\s*\1\s*\)|\bexpect\(\s*true\s*\)\.toBeTruthy"
    r"|\bassert!?\s*\(\s*true\s*\)|\bassert(?:\.ok)?\(\s*(?:true|1)\s*\)"
)
_LINE = 2000
"""Characters of a line that are looked at."""


class _Strength:
    """What tests consist of, counted: what came minus what went."""

    def __init__(self) -> None:
        self.tests: Counter[str] = Counter()
        self.skips: Counter[str] = Counter()
        self.assertions: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.empty: list[str] = []
        self.gone: list[str] = []

    def read(self, file: FileChange, *, tests: bool) -> None:
        if tests and file.status == "D":
            self.gone.append(file.path)
        for line in file.lines():
            text, step = line.text[:_LINE], 1 if line.side == "+" else -1
            if _LEFT_OUT.search(text) and not _COMMENT.match(text):
                self.left_out[file.path] += step
            if tests and not _COMMENT.match(text):
                self._count(file.path, text, step)

    def _count(self, path: str, text: str, step: int) -> None:
        match = _TEST.search(text)
        if match is not None:
            self.tests[_name(match)] += step
        if _SKIP.search(text):
            self.skips[path] += step
        if _EMPTY_ASSERTION.search(text):
            if step > 0:
                self.empty.append(path)
        elif _ASSERTION.search(text):
            self.assertions[path] += step


def is_test_path(path: str) -> bool:
    """Whether the file's name says that it holds tests."""
    return bool(_TEST_PATH.search(path))


def weakened_tests(facts: Facts, options: Mapping[str, Any]) -> Verdict:
    """Tests, their assertions and the list of those that run are no fewer than before."""
    more = WeakenedTestOptions.model_validate(options).paths
    strength = _Strength()
    for file in facts.changes.files:
        tests = bool(_CODE.search(file.path)) and (bool(_TEST_PATH.search(file.path)) or matches(file.path, more))
        if tests or _SETTINGS_PATH.search(file.path):
            strength.read(file, tests=tests)
    found = [*_lost(strength), *_counted(facts.tested)]
    measures = _measures(facts.tested)
    if not found:
        return Verdict(True, "No test was weakened.", measures=measures)
    paths = sorted({path for path in facts.changes.paths if _TEST_PATH.search(path) or matches(path, more)})
    return Verdict(False, f"Tests look weaker: {'; '.join(found)}.", listed(found), paths, measures, "weakened_tests")


def _lost(strength: _Strength) -> list[str]:
    lost = sorted(name for name, count in strength.tests.items() if count < 0 and name)
    unnamed = -strength.tests[""] if strength.tests[""] < 0 and not lost else 0
    net = sum(strength.assertions.values())
    findings = []
    if strength.gone and (lost or unnamed or net < 0):
        findings.append(f"test files deleted ({shown(strength.gone)})")
    if lost or unnamed:
        names = f" ({shown(lost)})" if lost else ""
        findings.append(f"{len(lost) or unnamed} tests removed{names}")
    for counts, what in ((strength.skips, "skipped or narrowed down"), (strength.left_out, "left out of the run")):
        more = sum(counts.values())
        if more > 0:
            findings.append(f"tests {what} in {shown(sorted(path for path, count in counts.items() if count > 0))}")
    if net < 0:
        fewer = sorted(path for path, count in strength.assertions.items() if count < 0)
        findings.append(f"{-net} assertions fewer, in {shown(fewer)}")
    if strength.empty:
        findings.append(f"assertions that always hold in {shown(sorted(set(strength.empty)))}")
    return findings


def _counted(tested: Sequence[Tested]) -> list[str]:
    findings = []
    for run in tested:
        before, after = _ran(run)
        if after < before:
            findings.append(f"{after} tests ran in {run.gate} where {before} ran on the base")
        elif run.after.skipped > run.before.skipped:
            findings.append(f"{run.after.skipped} tests are skipped in {run.gate} where {run.before.skipped} were")
    return findings


def _measures(tested: Sequence[Tested]) -> list[Measure]:
    return [Measure(f"tests run in {run.gate}", _ran(run)[1], _ran(run)[0]) for run in tested]


def _ran(run: Tested) -> tuple[int, int]:
    before, after = run.before, run.after
    return len(before.passed) + len(before.failed), len(after.passed) + len(after.failed)


def _name(match: re.Match[str]) -> str:
    """The test's name; empty for a mark that stands over one."""
    groups = match.groupdict()
    return next((groups[key] for key in ("py", "pyclass", "go", "js", "feature") if groups[key]), "")
