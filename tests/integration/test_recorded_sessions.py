"""Sessions of real agents, recorded by `tests.peers.record_session`, played again through the same port.

They hold our client to what the agents were seen to do, on machines that have none of them.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devteam.adapters.executors.profiles import PROFILES, AgentProfile
from devteam.adapters.fences import find_bubblewrap
from tests.agents.jobs import SMALL
from tests.integration.agent_world import AgentWorld
from tests.integration.git_projects import git
from tests.peers.record_session import PROMPTS, SESSIONS, scrubbed
from tests.peers.scripted_agent import build

AGENTS = ("native", "opencode", "claude")
pytestmark = pytest.mark.skipif(find_bubblewrap() is None, reason="bubblewrap is not installed")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> AgentWorld:
    made = AgentWorld(tmp_path_factory.mktemp("recorded"))
    made.customer.commit(dict(SMALL.files))
    return made


def profile(agent: str, folder: Path, **options: Any) -> AgentProfile:
    """The agent as it is known, started from its recording."""
    program = build(folder / f"scripted-{agent}", SESSIONS / f"{agent}.jsonl", **options)
    return replace(PROFILES[agent], argv=(str(program),))


def recorded(agent: str, number: int) -> list[Any]:
    """The entries that were made of the round then."""
    lines = [json.loads(line) for line in (SESSIONS / f"{agent}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [[line["kind"], line["entry"]] for line in lines if "entry" in line and line["round"] == number]


@pytest.mark.parametrize("agent", AGENTS)
def test_two_rounds_are_told_as_they_were_recorded(world: AgentWorld, tmp_path: Path, agent: str) -> None:
    profiles = {agent: profile(agent, tmp_path)}
    job, workspace = world.prepared(agent)
    session: str | None = None
    asked: list[bool] = []
    for number, prompt in enumerate(PROMPTS, start=1):
        run = world.begin(job, workspace, prompt=prompt, session_id=session, profiles=profiles)
        end = run.end()
        assert end.end.succeeded, (end.end.describe(), run.told.raw)
        assert scrubbed([[kind, data] for kind, data in run.told.entries], workspace) == recorded(agent, number)
        session = run.told.sessions[0]
        asked += [data["allowed"] for data in run.told.of("permission")]
        assert not run.marked()
    assert asked and all(asked)
    assert end.said == "The sign was wrong; the test passes."
    commit = world.workspaces.save(job)
    assert git(world.workspaces.mirror(job).path, "show", f"{commit}:{SMALL.path}") == SMALL.mended.strip()


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("after", [2, 6])
def test_a_recorded_agent_that_dies_half_way_is_told_and_keeps_its_entries(
    world: AgentWorld, tmp_path: Path, agent: str, after: int
) -> None:
    job, workspace = world.prepared(agent)
    run = world.begin(job, workspace, prompt=PROMPTS[0], profiles={agent: profile(agent, tmp_path, crashAfter=after)})
    end = run.end().end
    assert (end.code, end.error) == (
        "agent_ended",
        f"{PROFILES[agent].title} ended in the middle of its work, with exit code 3.",
    )
    told = scrubbed([[kind, data] for kind, data in run.told.entries], workspace)
    assert told[0] == ["prompt", {"text": PROMPTS[0]}]
    assert told == recorded(agent, 1)[: len(told)]
    assert not run.marked()


def test_an_agent_of_another_version_than_was_tried_is_told_and_named_when_it_fails(
    world: AgentWorld, tmp_path: Path
) -> None:
    known = replace(profile("claude", tmp_path, crashAfter=6), package="@agentclientprotocol/claude-agent-acp@9.9.9")
    job, workspace = world.prepared("claude")
    run = world.begin(job, workspace, prompt=PROMPTS[0], profiles={"claude": known})
    other = "Claude Code (bridge) is version 0.49.0; 9.9.9 is the one that was tried."
    assert str(run.end().end.error).endswith(f"with exit code 3. {other}")
    assert run.told.texts("note") == [other]


def test_a_client_that_says_something_else_than_was_recorded_is_found_out(world: AgentWorld, tmp_path: Path) -> None:
    job, workspace = world.prepared("native")
    run = world.begin(job, workspace, prompt="Do something else.", profiles={"native": profile("native", tmp_path)})
    end = run.end().end
    assert end.error is not None
    assert "exit code 70" in end.error
    assert any("recorded: " in text for text in run.told.raw)
