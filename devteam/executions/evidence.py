"""The lines of a failing command's output that say why it failed."""

import re
from collections.abc import Iterable
from typing import Final

GAP: Final = "…"
_LONGEST: Final = 600
"""Characters of a line; a longer one is data, not a sentence."""
_BEFORE, _AFTER = 1, 2

_ANSI: Final = re.compile(
    r"\x1b\[[0-9;?]{0,20}[A-Za-z]|\x1b\][^\x07\x1b]{0,300}(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)

_DECISIVE: Final = re.compile(
    "|".join(
        (
            # pytest
            r"E\s{2,}\S",
            r">\s{2,}\S",
            r"(?:FAILED|ERROR) \S+(?:::| - |$)",
            r"_{3,} .{1,200} _{3,}$",
            r"\S{1,200}:\d+: (?:\w+(?:Error|Exception|Warning)|Failed|assert)",
            # unittest, and Python itself
            r"(?:FAIL|ERROR): \w",
            r"FAILED \(",
            r"[\w.]{0,100}(?:Error|Exception|Interrupt|Exit)(?:: |$)",
            # Jest, Vitest
            r"\s{0,8}● \S",
            r"\s{0,8}(?:\u00d7|\u2715|\u2717|\u2716|FAIL) {1,4}\S",
            r"\s{0,8}(?:Expected|Received)(?: \w+)?:",
            r"\s{0,8}[-+] (?:Expected|Received)\b",
            r"\s{0,8}(?:AssertionError|\w{0,60}Error): ",
            r"\s{0,8}>\s{0,4}\d+ ?\|",
            # go test
            r"\s{0,12}--- FAIL: ",
            r"\s{1,12}\w+_test\.go:\d+: ",
            r"panic: ",
            r"FAIL\t\S",
            r"\S{1,200}\.go:\d+:\d+: ",
            # cargo, rustc
            r"error(?:\[E\d+\])?: ",
            r"\s{0,8}--> \S+:\d+",
            r"thread '.{1,200}' .{0,40}panicked",
            r"test .{1,200} \.\.\. FAILED",
            r"\s{0,4}(?:left|right): ",
            # tsc, mypy, ruff, and whatever speaks like a compiler
            r".{1,200}\(\d+,\d+\): error ",
            r".{1,200}:\d+:\d+ - error ",
            r"\S{1,200}:\d+(?::\d+)?: (?:fatal )?error",
            r"\S{1,200}:\d+:\d+: [A-Z]{1,5}\d{2,5} ",
            r"[A-Z]{1,5}\d{3,5} (?:\[\*\] )?\S",
            # make, shells, git
            r"make(?:\[\d+\])?: \*\*\* ",
            r"fatal: ",
            r"/bin/sh: ",
        )
    )
)
_SUMMARY: Final = re.compile(
    r"=+ .*\b(?:failed|errors?)\b.* =+$|test result: FAILED|\s*(?:Tests|Test Files|Test Suites):? .*failed"
    r"|Found \d+ errors?|error: could not compile|FAILED \(|Ran \d+ tests? in|\d+ (?:failed|failing|errors?)\b"
)
_WEAK: Final = re.compile(
    r"(?i)\b(?:error|fatal|failed|failure|exception|traceback|panic|assert\w*|expected|cannot|not found|undefined"
    r"|denied)\b"
)


def decisive_lines(output: str, limit: int) -> str:
    """At most `limit` characters of the output: what names a failure, with a little around it, and the summary.

    Short output is kept whole. Where nothing is known to be decisive, words like "error" count, then the end.
    """
    text = _ANSI.sub("", output).replace("\r\n", "\n").replace("\r", "\n")
    if len(text) <= limit:
        return text
    lines = [line if len(line) <= _LONGEST else f"{line[:_LONGEST]} {GAP}" for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    ends = [number for number, line in enumerate(lines) if _SUMMARY.match(line)][-3:]
    strong = [number for number, line in enumerate(lines) if _DECISIVE.match(line)]
    weak = [] if strong else [number for number, line in enumerate(lines) if _WEAK.search(line)]
    chosen = _Chosen(lines, limit)
    chosen.take(ends)
    chosen.take(strong or weak)
    chosen.take(near for number in strong or weak for near in range(number - _BEFORE, number + _AFTER + 1))
    chosen.take(reversed(range(len(lines))))
    return chosen.text()


class _Chosen:
    """Lines that are kept, as long as there is room; a gap between two of them takes a line as well."""

    def __init__(self, lines: list[str], limit: int) -> None:
        self._lines = lines
        self._room = limit
        self._kept: set[int] = set()

    def take(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number in self._kept or not 0 <= number < len(self._lines):
                continue
            cost = len(self._lines[number]) + 1 + len(GAP) + 1
            if cost > self._room:
                return
            self._room -= cost
            self._kept.add(number)

    def text(self) -> str:
        parts: list[str] = []
        last = -1
        for number in sorted(self._kept):
            if number != last + 1:
                parts.append(GAP)
            parts.append(self._lines[number])
            last = number
        return "\n".join(parts)
