"""What an attempt left, over HTTP and on the command line: files, checksums, an archive that is always the same."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from uuid import UUID

import pytest

from devteam.access.model import Role
from devteam.kit.db import sql
from tests.functional.test_cli import Running, running
from tests.functional.test_sessions import attempt, entry
from tests.functional.world import API, World

__all__ = ["running"]

SECRET = "hunter2-and-more"


def worked(world: World) -> UUID:
    """A finished attempt by an agent, with everything that one can leave."""
    return filled(world, attempt(world, executor="native"))


def worked_locally(running: Running) -> UUID:
    """The same on an engine that looks at its repositories."""
    name, world = running.customer(), running.world
    customer = next(UUID(card["id"]) for card in running.cli.json("customer", "list") if card["name"] == name)
    project = UUID(world.admin.get(f"/customers/{customer}").json()["projects"][0]["id"])
    task, execution = world.task(customer, project), world.execution(customer)
    return filled(world, world.attempt(customer, project, task, execution, executor="native"))


def filled(world: World, attempt_id: UUID) -> UUID:
    entry(world, attempt_id, 1, "prompt", text="Do this task")
    entry(world, attempt_id, 2, "plan", entries=[{"content": "Look", "status": "completed"}])
    entry(world, attempt_id, 3, "message", text=f'The file says "password={SECRET}" twice')
    with world.database.transaction() as connection:
        connection.execute(
            sql("INSERT INTO attempt_diffs (attempt_id, diff, truncated) VALUES (:id, :diff, false)"),
            {"id": attempt_id, "diff": "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-x\n+ü\n"},
        )
        connection.execute(
            sql("""INSERT INTO attempt_output (attempt_id, "offset", text, created_at) VALUES
                   (:id, 0, :first, now()), (:id, :next, :second, now())"""),
            {"id": attempt_id, "first": "said password=hun", "next": 17, "second": "ter2-and-more\n"},
        )
    return attempt_id


def listed(world: World, attempt_id: UUID) -> dict[str, dict[str, object]]:
    answer = world.admin.get(f"/attempts/{attempt_id}/artifacts").json()
    assert answer["complete"] is True
    return {file["name"]: file for file in answer["artifacts"]}


def test_artifacts_are_what_their_checksums_say_and_hold_no_secret(shared_world: World) -> None:
    attempt_id = worked(shared_world)
    files = listed(shared_world, attempt_id)
    assert list(files) == ["diff.patch", "manifest.json", "output.log", "plan.json", "prompt.md", "session.jsonl"]
    contents = {}
    for name, file in files.items():
        answer = shared_world.admin.get(f"/attempts/{attempt_id}/artifacts/{name}")
        assert answer.headers["etag"] == f'"{file["sha256"]}"'
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
        assert len(answer.content) == file["bytes"]
        assert SECRET not in answer.text
        contents[name] = answer.text
    assert contents["output.log"] == "said password=***\n", "also where it was stored in two pieces"
    session = [json.loads(line) for line in contents["session.jsonl"].splitlines()]
    assert [(each["ordinal"], each["kind"]) for each in session] == [(1, "prompt"), (2, "plan"), (3, "message")]
    assert session[2]["data"]["text"] == 'The file says "password=***" twice'
    assert json.loads(contents["manifest.json"])["id"] == str(attempt_id)
    assert "+ü" in contents["diff.patch"] and "Do this task" in contents["prompt.md"]


def test_archive_holds_the_same_files_with_their_sums_and_the_same_bytes_each_time(shared_world: World) -> None:
    attempt_id = worked(shared_world)
    one, two = (shared_world.admin.get(f"/attempts/{attempt_id}/artifacts.zip").content for _ in range(2))
    assert one == two
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert archive.testzip() is None
        sums = {line[66:]: line[:64] for line in archive.read("SHA256SUMS").decode().splitlines()}
        assert sums == {name: file["sha256"] for name, file in listed(shared_world, attempt_id).items()}
        for name, sha256 in sums.items():
            assert hashlib.sha256(archive.read(name)).hexdigest() == sha256


@pytest.mark.parametrize("name", ["gates.json", "secret.key", "nothing.txt"])
def test_artifact_that_is_not_there_is_not_found(shared_world: World, name: str) -> None:
    assert shared_world.admin.get(f"/attempts/{worked(shared_world)}/artifacts/{name}").status_code == 404


def test_artifacts_of_other_customers_are_not_found(shared_world: World) -> None:
    attempt_id = worked(shared_world)
    stranger = shared_world.caller(Role.DEVELOPER, {shared_world.customer()})
    for place in ("artifacts", "artifacts.zip", "artifacts/output.log", "bundle", f"compare/{attempt_id}"):
        assert stranger.get(f"/attempts/{attempt_id}/{place}").status_code == 404
    for act in ("run-again", "take-over", "release"):
        assert stranger.post(f"/attempts/{attempt_id}/{act}", {}).status_code == 404
    assert stranger.post(f"/attempts/{attempt_id}/send-back", {"remarks": "no"}).status_code == 404
    answer = shared_world.client.post(
        f"{API}/attempts/{attempt_id}/hand-back",
        content=b"x",
        headers={"Authorization": f"Bearer {stranger.token}", "Content-Type": "application/octet-stream"},
    )
    assert answer.status_code == 404


def test_viewer_reads_and_does_nothing_else(shared_world: World) -> None:
    attempt_id = worked(shared_world)
    viewer = shared_world.caller(Role.VIEWER)
    assert viewer.get(f"/attempts/{attempt_id}/artifacts").status_code == 200
    assert viewer.get(f"/attempts/{attempt_id}/compare/{attempt_id}").status_code == 200
    assert viewer.get(f"/attempts/{attempt_id}/bundle").status_code == 403
    for act in ("run-again", "take-over", "release"):
        assert viewer.post(f"/attempts/{attempt_id}/{act}", {}).status_code == 403


def test_command_line_downloads_artifacts_and_checks_them(running: Running, tmp_path: Path) -> None:
    attempt_id = str(worked_locally(running))
    names = [file["name"] for file in running.cli.json("attempt", "artifacts", attempt_id)["artifacts"]]
    shown = running.cli.ok("attempt", "artifacts", attempt_id)
    assert all(name in shown for name in names)
    into = tmp_path / "left"
    assert "checked" in running.cli.ok("attempt", "artifacts", attempt_id, "--download", str(into))
    assert sorted(file.name for file in into.iterdir()) == sorted([*names, "SHA256SUMS"])
    for line in (into / "SHA256SUMS").read_text().splitlines():
        sha256, name = line.split("  ")
        assert hashlib.sha256((into / name).read_bytes()).hexdigest() == sha256


def test_session_is_replayed_as_it_went(running: Running) -> None:
    attempt_id = worked_locally(running)
    with running.world.database.transaction() as connection:
        connection.execute(
            sql(
                "UPDATE attempt_entries SET at = at + make_interval(secs => 75 * (ordinal - 1)) WHERE attempt_id = :id"
            ),
            {"id": attempt_id},
        )
    shown = running.cli.ok("attempt", "replay", str(attempt_id), "--no-wait")
    assert "0:00.0 (prompt: 1 line)" in shown
    assert "1:15.0 [x] Look" in shown
    assert "2:30.0" in shown and "The file says" in shown
    with running.world.database.transaction() as connection:
        connection.execute(sql("DELETE FROM attempt_entries WHERE attempt_id = :id"), {"id": attempt_id})
    assert "has no session" in running.cli("attempt", "replay", str(attempt_id), "--no-wait").err
