"""The command line on agents: providers and their keys, prices, sessions, guidance, executors and their check."""

import json
import shutil
from pathlib import Path

import pytest

from devteam.kit.db import sql
from tests.functional.test_cli import Running, running
from tests.functional.test_cli_engine import Started, up
from tests.peers.model_server import ModelServer, call, say

__all__ = ["running", "up"]

KEY = "sk-from-the-shell-0123456789"
OPENAI = ("--kind", "openai", "--base-url", "http://models.test/v1")


def stored_key(running: Running, provider: str) -> bytes | None:
    with running.world.database.transaction() as connection:
        found: bytes | None = connection.execute(
            sql("SELECT sealed_secret FROM model_providers WHERE id = :id"), {"id": provider}
        ).scalar_one()
        return found


def test_provider_takes_its_key_from_a_variable_or_standard_input(running: Running) -> None:
    cli = running.cli
    made = json.loads(
        cli.ok(
            *("provider", "add", "Shell", *OPENAI, "--model", "large", "--model", "small", "--secret-env", "MY_KEY"),
            "--json",
            env={"MY_KEY": KEY},
        )
    )
    assert (made["hasSecret"], made["models"]) == (True, ["large", "small"])
    before = stored_key(running, made["id"])
    with cli.start("provider", "edit", "Shell", "--secret-stdin", stdin=-1) as process:
        out, err = process.communicate(f"{KEY}-2\n", timeout=60)
    assert (process.returncode, out, err) == (0, "Provider Shell changed.\n", "")
    assert stored_key(running, made["id"]) not in (None, before)
    listed = cli.ok("provider", "list")
    assert "Shell" in listed and "large, small" in listed and KEY not in listed
    cli.ok("provider", "remove", "Shell")
    assert made["id"] not in cli.ok("provider", "list")


def test_provider_with_bad_input_is_refused(running: Running) -> None:
    refused = running.cli.refused
    assert "openai, anthropic" in refused("provider", "add", "X", "--kind", "x", "--base-url", "http://a.test")
    assert "VAR_THAT_IS_NOT is not set" in refused("provider", "add", "X", *OPENAI, "--secret-env", "VAR_THAT_IS_NOT")
    assert "either" in refused("provider", "add", "X", *OPENAI, "--secret-env", "PATH", "--secret-stdin")
    assert "http or https" in refused("provider", "add", "X", "--kind", "openai", "--base-url", "nowhere")
    silent = running.cli("provider", "add", "X", *OPENAI, "--secret-stdin")
    assert (silent.code, silent.err) == (2, "devteam: There is no key on standard input.\n")
    assert "There is no provider 'X'" in refused("provider", "edit", "X", "--first")
    assert running.cli.refused("provider", "add", "X", *OPENAI, "--secret", KEY)  # never as an argument


def test_order_and_prices_are_set(running: Running) -> None:
    cli = running.cli
    for name in ("One", "Two", "Three"):
        cli.ok("provider", "add", name, *OPENAI)
    cli.ok("provider", "edit", "Two", "--first")
    cli.ok("provider", "edit", "Three", "--first")
    assert [each["name"] for each in cli.json("provider", "list")][:3] == ["Three", "Two", "One"]
    said = cli.ok("price", "set", "big", "--input", "3", "--output", "15")
    assert said == "big: input 3, cached 3, output 15 US dollars per million tokens.\n"
    assert cli.json("price", "list")[0]["cachedUsd"] == 3
    assert "big" in cli.ok("price", "list")
    assert cli.refused("price", "set", "big", "--input", "-3", "--output", "15")


def test_project_says_who_does_its_tasks(running: Running) -> None:
    cli = running.cli
    cli.ok("customer", "add", "Agents Ltd")
    add = ("project", "add", "Agents Ltd", "--repository", "library", "--name")
    project = cli.json(*add, "A", "--executor", "native", "--model", "large", "--budget", "2.5")
    assert (project["executor"], project["model"], project["budgetUsd"]) == ("native", "large", 2.5)
    own = cli.json(*add, "B", "--executor", "acp", "--agent-command", "my-agent --flag 'two words'")
    assert own["agentCommand"] == ["my-agent", "--flag", "two words"]
    assert "native" in cli.ok("project", "list", "Agents Ltd")
    assert "is no executor" in cli.refused(*add, "C", "--executor", "magic")
    assert "needs --agent-command" in cli.refused(*add, "C", "--executor", "acp")
    assert "cannot be read" in cli.refused(*add, "C", "--executor", "acp", "--agent-command", "'")
    assert cli.refused(*add, "C", "--executor", "native", "--budget", "0")


def test_rules_and_tasks_say_who_does_what(running: Running) -> None:
    cli = running.cli
    cli.ok("customer", "add", "Rules Ltd")
    rules = '[{"when": {"kinds": ["bug"]}, "choices": [{"executor": "claude", "model": "m"}, {"executor": "native"}]}]'
    made = cli.json("project", "add", "Rules Ltd", "--repository", "library", "--name", "R", "--routes", rules)
    assert made["routes"][0]["choices"][0] == {"executor": "claude", "model": "m"}
    edit = ("project", "edit", "Rules Ltd", "--routes")
    assert "no JSON" in cli.refused(*edit, "{")
    assert "agentCommand" in cli.refused(*edit, '{"choices": [{"executor": "acp"}]}')
    assert cli.json(*edit, '{"choices": [{"executor": "acp"}]}', "--agent-command", "own")["agentCommand"] == ["own"]
    assert cli.json(*edit, "[]")["routes"] == []
    named = cli.json(*edit, "[]", "--author-name", "Ada Lovelace", "--author-email", "ada@example.org")
    assert (named["authorName"], named["authorEmail"]) == ("Ada Lovelace", "ada@example.org")
    assert "without < and >" in cli.refused(*edit, "[]", "--author-name", "<Ada>")
    add = ("task", "add", "Rules Ltd", "Mend it")
    task = cli.json(*add, "--kind", "Bug", "--label", "ui", "--label", "ui", "--executor", "qwen", "--model", "m")
    assert (task["taskKind"], task["labels"], task["executor"], task["model"]) == ("bug", ["ui"], "qwen", "m")
    assert "is no executor" in cli.refused(*add, "--executor", "magic")
    assert "single word" in cli.refused(*add, "--kind", "two words")
    shown = cli.ok("task", "show", task["id"])
    assert "qwen with m" in shown and "unknown" in shown
    changed = cli.json("task", "edit", task["id"], "--executor", "any", "--no-labels", "--estimate", "60")
    assert (changed["executor"], changed["labels"], changed["size"]) == (None, [], "small")
    assert "Kind of task" in cli.ok("executors", "list", "--by-kind")


def test_session_is_printed_and_guidance_given(running: Running) -> None:
    task = running.cli.json("task", "add", running.customer(), "Talk")
    execution = running.world.execution(task["customerId"])
    attempt = str(running.world.attempt(task["customerId"], task["projectId"], task["id"], execution))
    entries = [
        ("prompt", {"text": "Do this.\nThen that."}),
        ("plan", {"entries": [{"content": "look", "status": "completed"}, {"content": "mend", "status": "pending"}]}),
        ("tool_call", {"toolCallId": "1", "title": "Run \x1b[2Jtests", "status": "pending"}),
        (
            "tool_update",
            {
                "toolCallId": "1",
                "status": "completed",
                "content": [{"type": "content", "content": {"type": "text", "text": "\n".join(map(str, range(30)))}}],
            },
        ),
        ("permission", {"toolCall": {"title": "push"}, "allowed": False, "by": "policy"}),
        ("message", {"text": "All done."}),
    ]
    with running.world.database.transaction() as connection:
        connection.execute(
            sql("UPDATE attempts SET executor = 'native', outcome = NULL, finished_at = NULL WHERE id = :id"),
            {"id": attempt},
        )
        for ordinal, (kind, data) in enumerate(entries, start=1):
            connection.execute(
                sql("INSERT INTO attempt_entries VALUES (:id, :ordinal, :kind, CAST(:data AS jsonb), now())"),
                {"id": attempt, "ordinal": ordinal, "kind": kind, "data": json.dumps(data)},
            )
    shown = running.cli.inside("attempt", "session", attempt)
    assert (shown.code, shown.err) == (0, "--- no metered model calls\n")
    lines = shown.out.splitlines()
    assert lines[:4] == ["(prompt: 2 lines)", "[x] look", "[ ] mend", "▸ Run [2Jtests"]
    assert lines[4:6] == ["  … 18 lines before", "  18"] and "  ✓" in lines
    assert "? push: refused by policy" in lines and "All done." in lines
    assert "Then that." in running.cli.inside("attempt", "session", attempt, "--full").out
    read = [json.loads(line) for line in running.cli.ok("attempt", "session", attempt, "--json").splitlines()]
    assert [each["ordinal"] for each in read] == [1, 2, 3, 4, 5, 6]
    assert running.cli.ok("attempt", "guide", attempt, "Mind the tests.") == "The agent hears it at its next step.\n"
    with running.world.database.transaction() as connection:
        connection.execute(
            sql("UPDATE attempts SET outcome = 'failed', finished_at = now() WHERE id = :id"), {"id": attempt}
        )
    assert running.cli.refused("attempt", "guide", attempt, "Hello?") == "The attempt has ended."
    assert running.cli.inside("attempt", "session", attempt, "-f").code == 0


def test_executors_are_listed_and_a_check_that_cannot_run_is_refused(running: Running) -> None:
    listed = {each["name"]: each for each in running.cli.json("executors", "list")}
    assert listed["native"]["installed"] is True
    assert "Built-in agent" in running.cli.ok("executors", "list")
    assert "There is no executor 'magic'" in running.cli.refused("executors", "test", "magic")
    assert "No worker is alive" in running.cli.refused("executors", "test", "native")
    missing = next(name for name, each in listed.items() if not each["installed"])
    assert "is not installed" in running.cli.refused("executors", "test", missing)


def test_agent_speaks_its_protocol_on_standard_input(tmp_path: Path, running: Running) -> None:
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 1}}
    environment = {**running.cli.environment, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "x"}
    cli = type(running.cli)(tmp_path, environment)
    with cli.start("agent", stdin=-1) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(hello) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        rest, err = process.communicate(timeout=60)
    assert answer["result"]["protocolVersion"] == 1
    assert (process.returncode, rest, err) == (0, "", "")


def test_check_of_the_command_executor_is_a_real_task(up: Started) -> None:
    assert up.cli.ok("executors", "test", "command").startswith("command: works.")
    names = [card["name"] for card in up.cli.json("customer", "list")]
    assert not [name for name in names if name.startswith("Executor check")], "it is put away"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed: agents are refused")
def test_check_of_the_built_in_agent_goes_through_fence_and_gateway(up: Started) -> None:
    refused = up.cli.inside("executors", "test", "native")
    assert refused.code == 1 and "No model provider" in refused.out
    with ModelServer([call("write_file", path="answer.txt", content="42\n"), say("Written.")]) as model:
        up.cli.ok(
            *("provider", "add", "Scripted", "--kind", "openai", "--base-url", model.openai_url, "--model", "m"),
            *("--secret-env", "KEY"),
            env={"KEY": KEY},
        )
        said = up.cli.inside("executors", "test", "native")
        assert said.code == 0, (said, up.cli.ok("executors", "list"))
        assert said.out.startswith("native: works. 2 calls, 200 tokens in, 20 out, cost unknown: no price"), said
        assert {seen.headers["authorization"] for seen in model.seen} == {f"Bearer {KEY}"}
    measured = {each["name"]: each for each in up.cli.json("executors", "list")}["native"]
    assert (measured["attempts"], measured["byKind"]) == (0, []), "a trial makes no figures"
    up.cli.ok("provider", "remove", "Scripted")
