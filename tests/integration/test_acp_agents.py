"""Agents that misbehave in every way we could think of, behind the fence: each round ends, and says why."""

import json
import resource
import time
from pathlib import Path

import pytest

from devteam.adapters.executors.acp_client import ASK_LIMIT
from devteam.adapters.executors.acp_talk import Patience
from devteam.adapters.fences import find_bubblewrap
from tests.integration.agent_world import AgentWorld, eventually
from tests.integration.git_projects import git

pytestmark = pytest.mark.skipif(find_bubblewrap() is None, reason="bubblewrap is not installed")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> AgentWorld:
    return AgentWorld(tmp_path_factory.mktemp("agents"))


def test_an_agents_round_ends_with_its_words_and_its_files(world: AgentWorld) -> None:
    end, run = world.run("works")
    assert end.end.succeeded, end.end.describe()
    assert end.said == "I made it."
    assert run.told.texts("message") == ["I made it."]
    assert run.told.texts("prompt") == ["Do it."]
    assert run.told.sessions == ["one"]
    assert (run.workspace / "made.txt").read_text() == "made\n"
    assert not run.marked()


def test_a_round_in_which_nothing_was_done_ends_well_and_changes_nothing(world: AgentWorld) -> None:
    end, run = world.run("nothing")
    assert end.end.succeeded
    assert end.said == ""
    assert world.workspaces.save(run.job) == world.customer.head()


def test_an_agent_that_is_not_installed_is_named(world: AgentWorld) -> None:
    end, run = world.run("x", program="no-such-agent")
    assert end.end.error == "no-such-agent is not installed on this worker: there is no program no-such-agent."
    assert not run.told.entries


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("old", "speaks version 99 of the protocol only."),
        ("only_garbage", "keeps writing what is not of the protocol."),
        ("flood_line", "sent a message of more than 32 MB."),
        ("dies", "ended in the middle of its work, with exit code 3."),
        ("dies_at_once", "ended before it said anything, with exit code 7."),
        ("refuses", "refused to go on."),
        (
            "limited",
            "could not go on: the provider's rate limit is reached (status 429)."
            " It can be asked again at 2026-03-01T12:00:00+00:00.",
        ),
        ("logged_out", "asks for a login of its own: Authentication required"),
    ],
)
def test_a_round_that_fails_says_why(world: AgentWorld, behaviour: str, reason: str) -> None:
    end, run = world.run(behaviour)
    assert not end.end.succeeded
    assert end.end.error == f"{world.program} {reason}"
    assert not run.marked()


def test_an_agent_that_was_killed_is_told_so(world: AgentWorld) -> None:
    end, _ = world.run("dies_by_signal")
    assert end.end.error is not None
    assert "in the middle of its work" in end.end.error


def test_an_answer_that_is_not_of_the_protocol_ends_the_round(world: AgentWorld) -> None:
    end, _ = world.run("broken_answer")
    assert end.end.error is not None
    assert "broke the protocol" in end.end.error


def test_banners_and_things_of_tomorrow_among_the_messages_do_no_harm(world: AgentWorld) -> None:
    end, run = world.run("garbage")
    assert end.end.succeeded, end.end.describe()
    assert end.said == "I made it."
    assert "Welcome!\n" in run.told.raw


def test_an_agent_that_hangs_at_its_start_is_not_waited_for(world: AgentWorld) -> None:
    end, run = world.run("hangs", patience=Patience(start=0.7))
    assert end.end.error == f"{world.program} did not answer within 0.7 s."
    assert not run.marked()


def test_a_hundred_megabytes_of_messages_and_errors_pass_in_bounded_memory(world: AgentWorld) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    end, run = world.run("flood_updates")
    assert end.end.succeeded, end.end.describe()
    assert len(end.said) == 200_000
    assert [len(text) < 21_000 for text in run.told.texts("message")] == [True]
    end, run = world.run("flood_errors")
    assert end.end.succeeded, end.end.describe()
    assert sum(map(len, run.told.raw)) == 100_000_000
    run.told.raw.clear()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400_000, f"{grown} KB"  # the test itself keeps the hundred megabytes of errors


def test_permissions_are_answered_by_policy_and_recorded(world: AgentWorld) -> None:
    end, run = world.run("asks_once")
    assert end.said == "y"
    assert run.told.of("permission")[0]["allowed"] is True


def test_permissions_without_end_end_the_round(world: AgentWorld) -> None:
    end, run = world.run("asks")
    assert end.end.error == f"{world.program} asked for more than {ASK_LIMIT} permissions."
    assert len(run.told.of("permission")) == ASK_LIMIT


def test_silence_ends_the_round(world: AgentWorld) -> None:
    end, _ = world.run("silent", silence=1.0)
    assert end.end.error == f"{world.program} gave no sign of life for 1 s."


def test_the_time_limit_ends_the_round(world: AgentWorld) -> None:
    end, run = world.run("stubborn", time_limit=1.5)
    assert end.end.timed_out
    assert not run.marked()


# --- the repository ---


@pytest.mark.parametrize("behaviour", ["deletes_git", "rewrites_history", "detaches", "stays_in_rebase"])
def test_whatever_an_agent_does_to_git_its_files_are_the_work(world: AgentWorld, behaviour: str) -> None:
    end, run = world.run(behaviour)
    assert end.end.succeeded, end.end.describe()
    assert end.said.startswith("0"), end.said
    commit = world.workspaces.save(run.job)
    mirror = world.workspaces.mirror(run.job).path
    assert git(mirror, "rev-parse", f"{commit}^") == world.customer.head()
    saved = git(mirror, "show", f"{commit}:README.md")
    assert saved == (run.workspace / "README.md").read_text().strip() != "Hello"


def test_files_are_written_inside_the_workspace_only(world: AgentWorld, tmp_path: Path) -> None:
    paths = [
        "new/deep/file.txt", "README.md", "alias/through.txt", "../escaped.txt", f"{tmp_path}/escaped.txt",
        "link/planted", "link/passwd", ".git", ".git/config",
        "src/.GIT/hooks/pre-commit", "dangling", "pipe", "src", ".", "a\0b",
    ]  # fmt: skip
    end, run = world.run("files", prompt=json.dumps(paths))
    assert end.end.succeeded, end.end.describe()
    tried = json.loads(end.said)
    assert {path for path, (written, _) in tried.items() if written} == {
        "new/deep/file.txt",
        "README.md",
        "alias/through.txt",
    }
    assert {path for path, (_, read) in tried.items() if read is not None} == {
        "new/deep/file.txt",
        "README.md",
        "alias/through.txt",
    }
    assert not list(tmp_path.iterdir())
    assert not (run.workspace.parent / "escaped.txt").exists()
    refused = [data["text"] for data in run.told.of("note") if data.get("refused")]
    for path in ("../escaped.txt", "link/planted", ".git/config", "src/.GIT/hooks/pre-commit", "dangling"):
        assert f"Refused: {path} is outside the workspace." in refused


def test_a_folder_exchanged_for_a_link_while_we_write_catches_nothing(world: AgentWorld, tmp_path: Path) -> None:
    end, _ = world.run("races", prompt=str(tmp_path))
    assert end.end.succeeded, end.end.describe()
    assert not list(tmp_path.iterdir())


# --- in the middle of a turn ---


def test_stopping_ends_an_agent_that_does_not_want_to_with_all_that_it_started(world: AgentWorld) -> None:
    run = world.start("stubborn")
    run.wait_for("plan")
    assert len(run.marked()) >= 4
    began = time.monotonic()
    run.control.terminate()
    end = run.end()
    assert time.monotonic() - began < 5
    assert not run.marked()
    assert not end.end.succeeded


def test_stopping_asks_a_polite_agent_by_the_protocol(world: AgentWorld) -> None:
    run = world.start("polite")
    run.wait_for("plan")
    run.control.terminate()
    assert run.end().end.error == f"{world.program} was stopped."


def test_stopping_before_the_agent_said_anything_is_quick(world: AgentWorld) -> None:
    run = world.start("hangs")
    began = time.monotonic()
    run.control.terminate()
    run.end()
    assert time.monotonic() - began < 5
    assert not run.marked()


@pytest.mark.parametrize("behaviour", ["polite", "deaf", "steered"])
def test_guidance_reaches_an_agent_in_the_middle_of_its_turn(world: AgentWorld, behaviour: str) -> None:
    run = world.start(behaviour, patience=Patience(cancel=0.5))
    run.wait_for("plan")
    run.told.waiting.append("Be guided.")
    run.told.waiting.append("And be guided well.")
    end = run.end()
    assert end.end.succeeded, end.end.describe()
    words = "The project manager adds:\n\nBe guided.\n\nAnd be guided well."
    assert (run.workspace / "guided.txt").read_text() == words.replace("Be guided", "Be guided")
    assert run.told.texts("steer") == [words]
    late = [text for text in run.told.texts("note") if "hears the guidance after it" in text]
    assert len(late) == (1 if behaviour == "deaf" else 0)


def test_frozen_time_is_not_silence_and_the_round_goes_on_after_it(world: AgentWorld) -> None:
    run = world.start("slow", silence=1.5)
    run.wait_for("plan")
    run.control.pause()
    heard = len(run.told.entries)
    time.sleep(2.5)  # longer than its silence may be
    assert len(run.told.entries) <= heard + 2
    run.control.resume()
    end = run.end()
    assert end.end.succeeded, end.end.describe()
    assert end.said == "".join(f"{number} " for number in range(10))


def test_a_frozen_agent_can_be_stopped(world: AgentWorld) -> None:
    run = world.start("slow")
    run.wait_for("plan")
    run.control.pause()
    run.control.terminate()
    assert not run.end().end.succeeded
    assert not run.marked()


def test_what_a_loaded_session_replays_is_not_recorded_again(world: AgentWorld) -> None:
    end, run = world.run("loads", session_id="one")
    assert end.end.succeeded
    assert run.told.texts("message") == ["fresh"]
    assert end.said == "fresh"


def test_an_agent_that_cannot_load_begins_anew(world: AgentWorld) -> None:
    end, run = world.run("works", session_id="one")
    assert end.end.succeeded
    eventually(lambda: run.told.sessions == ["one"])
