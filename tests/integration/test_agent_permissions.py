"""Agents that want to change what is protected: they wait for a person, and their time stands still."""

import time

import psutil
import pytest

from tests.integration.agent_world import AgentWorld, Round, eventually

CI = ".github/workflows/ci.yml"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> AgentWorld:
    return AgentWorld(tmp_path_factory.mktemp("permissions"))


@pytest.fixture(autouse=True)
def nobody_asked_yet(world: AgentWorld) -> None:
    world.person.forget()


def asked(world: AgentWorld) -> None:
    eventually(lambda: bool(world.person.asked))


def agent_process() -> psutil.Process:
    """The agent's own process, the last of those that its command line is handed through."""
    named = [process for process in psutil.process_iter() if _cmdline(process)[-1:] == ["edits_ci"]]
    return max(named, key=lambda process: len(process.parents()))


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def changed(run: Round) -> bool:
    return (run.workspace / CI).exists()


def test_a_yes_lets_the_agent_go_on(world: AgentWorld) -> None:
    run = world.start("edits_ci")
    asked(world)
    [question] = world.person.asked
    assert question.kind == "agent_permission" and question.title == f"May the agent change {CI}?"
    assert question.data["paths"] == [CI] and question.data["toolCall"]["title"] == f"Edit {CI}"
    assert not changed(run)
    world.person.says(approved=True)
    end = run.end()
    assert end.end.succeeded and end.said == "y" and changed(run)
    [permission] = run.told.of("permission")
    assert permission["allowed"] is True and permission["by"] == "Ada"


def test_a_no_sends_it_another_way_and_silence_is_a_no(world: AgentWorld) -> None:
    for expired in (False, True):
        world.person.says(approved=False, expired=expired)
        end, run = world.run("edits_ci")
        assert end.end.succeeded and end.said == "n"
        assert not changed(run) and (run.workspace / "made.txt").exists()
        [permission] = run.told.of("permission")
        assert permission["allowed"] is False and permission["by"] == ("expired" if expired else "Ada")


def test_what_a_person_says_with_the_answer_reaches_the_agent(world: AgentWorld) -> None:
    world.person.says(approved=False, text="leave the pipeline alone")
    run = world.start("edits_ci")
    run.wait_for("permission")
    assert run.end().end.succeeded
    assert f"May the agent change {CI}? No: leave the pipeline alone" in run.told.texts("steer")[0]


def test_neither_time_nor_silence_count_while_a_person_is_asked(world: AgentWorld) -> None:
    run = world.start("edits_ci", time_limit=2.0, silence=1.0)
    asked(world)
    time.sleep(3.5)
    assert run.thread.is_alive()
    world.person.says(approved=True)
    end = run.end()
    assert end.end.succeeded and end.end.seconds < 2.0


def test_they_do_not_count_either_while_it_asks_by_its_tools(world: AgentWorld) -> None:
    world.person.elsewhere = True
    run = world.start("silent", time_limit=3.0, silence=1.0)
    run.wait_for("plan")
    time.sleep(4)
    assert run.thread.is_alive()
    world.person.elsewhere = False
    assert not run.end().end.succeeded


def test_a_stop_reaches_an_agent_that_waits_for_a_person(world: AgentWorld) -> None:
    run = world.start("edits_ci")
    asked(world)
    began = time.monotonic()
    run.control.terminate()
    assert not run.end().end.succeeded
    assert time.monotonic() - began < 5
    assert not changed(run) and run.marked() == []


def test_a_pause_holds_it_and_the_answer_given_meanwhile_counts(world: AgentWorld) -> None:
    run = world.start("edits_ci")
    asked(world)
    run.control.pause()
    world.person.says(approved=True)
    time.sleep(0.5)
    assert not changed(run)
    run.control.resume()
    assert run.end().end.succeeded and changed(run)


def test_guidance_reaches_an_agent_that_waits_and_the_question_is_put_again(world: AgentWorld) -> None:
    run = world.start("edits_ci")
    asked(world)
    run.told.waiting.append("mind the indentation")
    eventually(lambda: len(world.person.asked) == 2)
    assert "mind the indentation" in run.told.texts("steer")[0]
    first, second = world.person.asked
    assert first.fingerprint == second.fingerprint
    world.person.says(approved=True)
    assert run.end().end.succeeded and changed(run)


def test_writing_through_the_client_asks_as_well(world: AgentWorld) -> None:
    world.person.says(approved=False)
    world.person.says(approved=True)
    end, run = world.run("writes_ci")
    assert end.said == "refused written "
    assert changed(run)
    assert [entry["allowed"] for entry in run.told.of("permission")] == [False, True]
    assert "would hold:\non: push" in world.person.asked[0].detail


def test_a_refused_command_is_refused_without_asking_and_recorded(world: AgentWorld) -> None:
    end, run = world.run("pushes")
    assert end.said == "ny"
    assert world.person.asked == []
    refused, allowed = run.told.of("permission")
    assert refused["allowed"] is False and refused["by"] == "policy"
    assert refused["reason"] == "the project refuses the command: git push"
    assert allowed["allowed"] is True


def test_an_agent_that_dies_while_it_waits_withdraws_its_question(world: AgentWorld) -> None:
    run = world.start("edits_ci")
    asked(world)
    agent_process().kill()
    end = run.end()
    assert not end.end.succeeded and end.end.error and "ended" in end.end.error
