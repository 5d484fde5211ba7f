"""The pure parts of the command line: what words mean, and what may reach a terminal."""

from pathlib import Path

import pytest

from devteam.cli import render
from devteam.cli.client import problem_line
from devteam.cli.customers import parse_gate, repository_name
from devteam.cli.failure import CliError, one_line
from devteam.cli.names import Named, repository_address, resolve

ACME = Named("01a20fa2-868a-7c29-b57e-b402e3ada9be", "Acme")
OTHER = Named("01a20fa2-8826-7a52-8e56-c42196d073c2", "acme")
HEXED = Named("01a20fff-0000-7000-8000-000000000001", "c42196d073c2")


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (ACME.id, ACME),
        ("Acme", ACME),
        ("acme", OTHER),
        ("E3ADA9BE", ACME),
        ("01a20fa2-88", OTHER),
        ("c42196d073c2", HEXED),  # an exact name wins over an end of another's id
    ],
)
def test_one_thing_is_meant(wanted: str, meant: Named) -> None:
    assert resolve(wanted, [ACME, OTHER, HEXED], "customer") == meant.id


@pytest.mark.parametrize("wanted", ["ACME", "01a20fa2", "9be", "nobody", "", "' OR 1=1"])
def test_nothing_or_too_much_is_meant(wanted: str) -> None:
    with pytest.raises(CliError):
        resolve(wanted, [ACME, OTHER, HEXED], "customer")


@pytest.mark.parametrize("text", ["\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "a\rb", "\x1bPq\x1b\\", "\x08\x7f\x00"])
def test_text_cannot_steer_the_terminal(text: str) -> None:
    for shown in (render.printable(text), render.printable(text, colours=True)):
        assert not set(shown) & set("\x1b\x07\x9b\r\x08\x7f\x00")


def test_colours_and_lines_of_output_stay() -> None:
    assert render.printable("\x1b[31mred\x1b[0m\tx\ny\x1b[1A", colours=True) == "\x1b[31mred\x1b[0m\tx\ny[1A"
    assert render.printable("\x1b[31mred\x1b[0m") == "red"


def test_refusals_are_one_line() -> None:
    assert one_line("a\nb\x1b[2J\u2028c") == "a b [2J c"
    assert len(one_line("x" * 1_000_000)) < 3000


def test_problem_tells_every_field_once() -> None:
    assert problem_line("title: too long", [{"field": "title", "message": "too long"}]) == "title: too long"
    errors = [{"field": "a", "message": "is bad"}, {"field": "b", "message": "is worse"}]
    assert problem_line("a: is bad", errors) == "a: is bad b: is worse"


@pytest.mark.parametrize(
    ("text", "address", "name"),
    [
        ("https://host.example/team/library.git", "https://host.example/team/library.git", "library"),
        ("git@host.example:team/library.git", "git@host.example:team/library.git", "library"),
        ("/srv/a/../library/", "/srv/library", "library"),
        ("library", "{cwd}/library", "library"),
        ("./some/where:odd", "{cwd}/some/where:odd", "odd"),
    ],
)
def test_paths_become_absolute_and_addresses_stay(
    text: str, address: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert repository_address(text) == address.format(cwd=tmp_path)
    assert repository_name(text) == name


def test_gate_is_a_name_and_a_command() -> None:
    gate = parse_gate(" tests = pytest -k 'a=b' ", "post_task")
    assert gate == {"name": "tests", "stage": "post_task", "script": "pytest -k 'a=b'"}
    for text in ("tests", "=true", "tests=", " = "):
        with pytest.raises(CliError):
            parse_gate(text, "post_task")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.4, "0 s"), (59, "59 s"), (600, "10 min"), (3_660, "1 h 01 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_short(value: float | None, shown: str) -> None:
    assert render.seconds(value) == shown
