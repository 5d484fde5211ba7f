"""The built-in agent's hands: paths, texts, edits, listings, outputs."""

import asyncio
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from devteam.agent.listing import glob_pattern, list_files
from devteam.agent.messages import ToolCall
from devteam.agent.paths import PathRefused, TextFile, Workspace
from devteam.agent.processes import Capture, clean, run_command
from devteam.agent.tools import Outcome, Toolbox, ToolRefused, mismatch, no_output, perform, prepare


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "work").mkdir()
    return Workspace.at(str(tmp_path / "work"))


def do(workspace: Workspace, tool: str, **arguments: Any) -> Outcome:
    """One call, as the loop makes it."""

    async def run() -> Outcome:
        plans: list[Any] = []

        async def on_plan(steps: list[Any]) -> None:
            plans.append(steps)

        try:
            action = prepare(Toolbox(workspace, on_plan).tools, ToolCall("1", tool, arguments))
        except (ToolRefused, PathRefused) as refusal:
            return Outcome(str(refusal), failed=True)
        return await perform(action, no_output)

    return asyncio.run(run())


@pytest.mark.parametrize("path", ["..", "../x", "/etc/passwd", "a/../../x", "link", "link/x", "loop/x", "", "a\0b"])
def test_paths_outside_are_refused(workspace: Workspace, path: str) -> None:
    (workspace.root / "link").symlink_to("/etc")
    (workspace.root / "loop").symlink_to("..")
    with pytest.raises(PathRefused):
        workspace.resolve(path)


@pytest.mark.parametrize("path", ["a", "./a", "sub/../a", "inner"])
def test_paths_inside_are_resolved(workspace: Workspace, path: str) -> None:
    (workspace.root / "inner").symlink_to("a")
    assert workspace.resolve(path) == workspace.root / "a"
    assert workspace.resolve(str(workspace.root / "a")) == workspace.root / "a"


def test_a_folder_that_became_a_link_is_not_written_through(workspace: Workspace, tmp_path: Path) -> None:
    path = workspace.resolve("sub/file")
    (workspace.root / "sub").symlink_to(tmp_path)
    with pytest.raises(PathRefused):
        workspace.write(path, TextFile("x"))
    assert not (tmp_path / "file").exists()


def test_what_is_no_regular_text_file_is_refused(workspace: Workspace) -> None:
    os.mkfifo(workspace.root / "pipe")
    (workspace.root / "binary").write_bytes(b"\x7fELF\0\0\0")
    (workspace.root / "folder").mkdir()
    for name, why in (("pipe", "regular"), ("binary", "binary"), ("folder", "folder"), ("absent", "no file")):
        outcome = do(workspace, "read_file", path=name)
        assert outcome.failed
        assert why in outcome.text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\r\ntwo\r\nthree\r\n", b"one\r\n2\r\nzwei\r\nthree\r\n"),
        (b"one\ntwo\nthree", b"one\n2\nzwei\nthree"),
        (b"one\r\ntwo\nthree\r\n", b"one\r\n2\nzwei\nthree\r\n"),
        (b"\xef\xbb\xbfone\ntwo\nthree\n", b"\xef\xbb\xbfone\n2\nzwei\nthree\n"),
        ("\ufeffone\r\ntwo\r\nthree".encode("utf-16-le"), "\ufeffone\r\n2\r\nzwei\r\nthree".encode("utf-16-le")),
        (b"\xe9one\ntwo\nthree\n", b"\xe9one\n2\nzwei\nthree\n"),
    ],
    ids=["crlf", "no-last-newline", "mixed", "bom", "utf-16", "latin-1"],
)
def test_an_edit_keeps_encoding_and_line_endings(workspace: Workspace, before: bytes, after: bytes) -> None:
    path = workspace.root / "file"
    path.write_bytes(before)
    outcome = do(workspace, "edit_file", path="file", old_text="two", new_text="2\nzwei")
    assert not outcome.failed
    assert path.read_bytes() == after


def test_an_encoding_that_cannot_hold_the_text_is_told(workspace: Workspace) -> None:
    (workspace.root / "file").write_bytes(b"\xe9")
    outcome = do(workspace, "write_file", path="file", content="€")
    assert outcome.failed
    assert "latin-1" in outcome.text
    assert (workspace.root / "file").read_bytes() == b"\xe9"


def test_writing_keeps_the_mode_and_leaves_hard_links_alone(workspace: Workspace, tmp_path: Path) -> None:
    path, other = workspace.root / "run.sh", tmp_path / "other"
    other.write_text("old\n")
    other.chmod(0o750)
    os.link(other, path)
    do(workspace, "write_file", path="run.sh", content="new\n")
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o777 == 0o750
    assert other.read_text() == "old\n"
    assert os.listdir(workspace.root) == ["run.sh"]


def test_an_edit_of_the_same_size_is_seen_by_bytecode_caches(workspace: Workspace) -> None:
    path = workspace.root / "m.py"
    path.write_text("a = 1\n")
    for number in (2, 3, 4):
        before = int(path.stat().st_mtime)
        do(workspace, "write_file", path="m.py", content=f"a = {number}\n")
        assert int(path.stat().st_mtime) > before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"old_text": "x", "new_text": "y"}, "2 times"),
        ({"old_text": "absent", "new_text": "y"}, "not in the file"),
        ({"old_text": "", "new_text": "y"}, "empty"),
        ({"old_text": "x", "new_text": "x"}, "the same"),
        ({"old_text": "x"}, "new_text is missing"),
        ({"old_text": "x", "new_text": 1}, "must be of type string"),
        ({"old_text": "x", "new_text": "y", "every": True}, "there is no every"),
    ],
)
def test_unclear_edits_are_refused(workspace: Workspace, arguments: dict[str, Any], why: str) -> None:
    (workspace.root / "file").write_text("x\nx\n")
    outcome = do(workspace, "edit_file", path="file", **arguments)
    assert outcome.failed
    assert why in outcome.text
    assert (workspace.root / "file").read_text() == "x\nx\n"


def test_every_occurrence_is_replaced_when_asked(workspace: Workspace) -> None:
    (workspace.root / "file").write_text("x\nx\n")
    assert "2 places" in do(workspace, "edit_file", path="file", old_text="x", new_text="y", all=True).text
    assert (workspace.root / "file").read_text() == "y\ny\n"


def test_a_file_that_changed_after_it_was_shown_is_not_overwritten(workspace: Workspace) -> None:
    (workspace.root / "file").write_text("x")

    async def run() -> Outcome:
        action = Toolbox(workspace, no_output).tools["write_file"].prepare({"path": "file", "content": "y"})  # type: ignore[arg-type]
        (workspace.root / "file").write_text("somebody else's")
        return await perform(action, no_output)

    assert asyncio.run(run()).failed
    assert (workspace.root / "file").read_text() == "somebody else's"


def test_the_diff_of_a_large_file_shows_the_change_alone(workspace: Workspace) -> None:
    (workspace.root / "file").write_text("".join(f"line {i}\n" for i in range(20_000)))
    tools = Toolbox(workspace, no_output).tools  # type: ignore[arg-type]
    given = {"path": "file", "old_text": "line 777\n", "new_text": "changed\n"}
    diff = tools["edit_file"].prepare(given).diff
    assert diff is not None
    assert diff.old == "".join(f"line {i}\n" for i in range(774, 781))
    assert diff.new == diff.old.replace("line 777", "changed")


def test_reading_goes_on_where_it_stopped(workspace: Workspace) -> None:
    (workspace.root / "file").write_text("".join(f"l{i}\n" for i in range(1, 11)))
    first = do(workspace, "read_file", path="file", limit=4).text
    assert first.endswith("     4\tl4\n[lines 1 to 4 of 10; go on with offset 5]")
    assert do(workspace, "read_file", path="file", offset=9).text == "     9\tl9\n    10\tl10"
    assert do(workspace, "read_file", path="file", offset=11).failed


def test_ignored_files_are_neither_listed_nor_searched(workspace: Workspace) -> None:
    subprocess.run(["git", "init", "-q"], cwd=workspace.root, check=True)
    for name in ("kept.py", "ignored.log", "sub/deep.py", "sub/ünïcode.txt"):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        (workspace.root / name).write_text("needle\n")
    (workspace.root / ".gitignore").write_text("*.log\n")
    assert do(workspace, "list_files").text.split("\n") == [".gitignore", "kept.py", "sub/deep.py", "sub/ünïcode.txt"]
    assert do(workspace, "list_files", glob="*.py").text == "kept.py\nsub/deep.py"
    found = do(workspace, "search", pattern=r"^NEED\w+$", ignore_case=True).text
    assert found == "kept.py:1:needle\nsub/deep.py:1:needle\nsub/ünïcode.txt:1:needle"
    assert do(workspace, "search", pattern="needle", path="sub", glob="*.py").text == "sub/deep.py:1:needle"
    assert do(workspace, "search", pattern="absent").text == "no matches"
    assert do(workspace, "search", pattern="(").failed


def test_a_folder_without_git_is_listed_too(workspace: Workspace) -> None:
    for name in ("a.py", "node_modules/b.js", "sub/c.py"):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        (workspace.root / name).touch()
    assert asyncio.run(list_files(workspace, workspace.root)) == ["a.py", "sub/c.py"]


def test_a_search_that_never_ends_is_ended(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devteam.agent.tools.SEARCH_SECONDS", 0.5)
    (workspace.root / "file").write_text("a" * 60 + "b")
    outcome = do(workspace, "search", pattern="(a+)+$")
    assert outcome.failed
    assert "simpler pattern" in outcome.text


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("*.py", ["a.py", "b/c/a.py"], ["a.pyc", "py"]),
        ("src/*.py", ["src/a.py"], ["src/b/a.py", "a.py"]),
        ("src/**/*.py", ["src/a.py", "src/b/c/a.py"], ["lib/a.py"]),
        ("**/test_?.py", ["test_a.py", "x/test_b.py"], ["test_ab.py"]),
        ("[!a]*.t[xy]t", ["b.txt", "c.tyt"], ["a.txt", "b.tzt"]),
        ("a[", ["a["], ["a"]),
    ],
)
def test_file_name_patterns(glob: str, matching: list[str], other: list[str]) -> None:
    pattern = glob_pattern(glob)
    assert [name for name in [*matching, *other] if pattern.match(name)] == matching


def test_output_keeps_its_beginning_and_end() -> None:
    capture = Capture(300)
    capture.add(b"begin" + b"x" * 1000)
    for _ in range(1000):
        capture.add(b"y" * 10)
    capture.add(b"end")
    text = clean(capture.kept())
    assert text.startswith("beginxx")
    assert text.endswith("yyend")
    assert f"[... {11_008 - 300} bytes left out ...]" in text


def test_output_is_told_as_a_person_would_read_it() -> None:
    assert clean(b"\x1b[31mred\x1b[0m\r\n10%\r50%\r100%\n\xff") == "red\n100%\n\ufffd"


def test_what_a_command_leaves_in_the_background_ends_with_it(workspace: Workspace) -> None:
    started = time.monotonic()
    result = asyncio.run(run_command(["bash", "-c", "sleep 30 & echo $!"], cwd=workspace.root, time_limit=20))
    assert result.code == 0
    assert time.monotonic() - started < 10
    assert not Path(f"/proc/{int(result.output)}/cwd").exists()


def test_schemas_are_checked_inside_lists() -> None:
    schema = {
        "type": "object",
        "properties": {"steps": {"type": "array", "items": {"type": "object", "required": ["step"], "properties": {}}}},
        "required": ["steps"],
    }
    assert mismatch({"steps": [{"step": "x"}, {}]}, schema) == "step is missing"
    assert mismatch({"steps": [{"step": "x"}]}, schema) is None
    assert mismatch(json.loads('{"n": true}'), {"type": "object", "properties": {"n": {"type": "integer"}}})
