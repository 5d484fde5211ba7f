"""What commands print: tables for people, JSON for scripts. Text of unknown origin never steers the terminal."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

_PIPED_WIDTH = 400
"""Columns of what is no terminal: no line is broken where a script would read on."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# State: sign and colour. A state is told by its word; sign and colour only repeat it.
STATES: Mapping[str, tuple[str, str]] = {
    "active": ("▶", "green"),
    "queued": ("…", "cyan"),
    "paused": ("⏸", "yellow"),
    "error": ("✗", "red"),
    "completed": ("✓", "green"),
    "aborted": ("■", "red"),
    "pending": ("·", "white"),
    "in_progress": ("▶", "green"),
    "verifying": ("▶", "cyan"),
    "error_solving": ("↻", "yellow"),
    "blocked": ("!", "yellow"),
    "failed": ("✗", "red"),
    "skipped": ("-", "white"),
    "cancelled": ("-", "white"),
    "succeeded": ("✓", "green"),
    "superseded": ("-", "white"),
    "lost": ("↻", "yellow"),
    "approved": ("✓", "green"),
    "rejected": ("✗", "red"),
    "expired": ("-", "white"),
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "fail": ("✗", "red"),
}


def is_terminal() -> bool:
    """Whether a person looks at the output."""
    return sys.stdout.isatty()


def print_json(data: Any) -> None:
    """Data for scripts."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def print_json_line(data: Any) -> None:
    """Data for scripts that read line by line, as it comes."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(line: str) -> None:
    """One line for a person."""
    sys.stdout.write(printable(line) + "\n")


def note(line: str) -> None:
    """A line beside the output, for a person."""
    sys.stderr.write(printable(line) + "\n")


def printable(text: str, *, colours: bool = False) -> str:
    """Text without characters that would move the cursor or worse; `colours` keeps colour codes."""
    kept = _COLOUR.findall(text) if colours else []
    parts = [_UNSAFE.sub("", part) for part in _COLOUR.split(text)]
    return "".join(part + colour for part, colour in zip(parts, [*kept, *[""] * len(parts)], strict=False))


def console() -> "Console":
    """Where tables go."""
    from rich.console import Console

    return Console(width=None if is_terminal() else _PIPED_WIDTH, highlight=False, markup=False, emoji=False)


def width() -> int:
    """Columns that a table may take."""
    return console().width


def show(content: "RenderableType") -> None:
    """Print something drawn."""
    console().print(content)


def table(*columns: str, rows: Sequence[Sequence["RenderableType"]]) -> "Table":
    """A table. A column whose name starts with `>` is flush right, one with `*` takes what is left and may fold."""
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        wide = column.startswith("*")
        drawn.add_column(column.lstrip(">*"), justify="right" if column.startswith(">") else "left", no_wrap=not wide)
    for row in rows:
        drawn.add_row(*[plain(cell) if isinstance(cell, str) else cell for cell in row])
    return drawn


def plain(text: str) -> "Text":
    """Text that is shown as it is."""
    from rich.text import Text

    return Text(" ".join(printable(text).split()))


def state(word: str | None) -> "Text":
    """A state with its sign and colour."""
    from rich.text import Text

    if word is None:
        return Text("not started", style="dim")
    sign, colour = STATES.get(word, ("?", "white"))
    return Text(f"{sign} {word.replace('_', ' ')}", style=colour)


def shown_id(identifier: str) -> str:
    """An id: its random end on a terminal, where it can be typed; whole where a script reads it."""
    return identifier.replace("-", "")[-8:] if is_terminal() else identifier


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return "-"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def bar(share: float, *, width: int = 12) -> str:
    """A share of one as a bar."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return f"{'█' * filled}{'░' * (width - filled)} {share:4.0%}"
