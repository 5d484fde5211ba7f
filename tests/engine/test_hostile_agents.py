"""Agents and models that go wrong in every way, through the whole engine: each attempt ends and says why by code and
sentence, nothing of the customer's is lost, and no process is left. They run side by side, as attempts do.
"""

import sys
from pathlib import Path
from uuid import UUID

import pytest

from devteam.adapters.fences import find_bubblewrap
from devteam.executions.schemas import AttemptView
from devteam.workflows.output import LIMIT
from tests.engine.test_agents import EDIT, SAYS_TWO, Shop, shop, why
from tests.engine.world import Case, gate
from tests.integration.agent_world import AGENT
from tests.integration.git_projects import git
from tests.peers.model_server import Answer, Call, Fault, Script, Step, say

__all__ = ["shop"]

pytestmark = [
    pytest.mark.skipif(find_bubblewrap() is None, reason="bubblewrap is not installed: agents are refused"),
    pytest.mark.timeout(300),
]

FAILING = {
    "old": ("agent_protocol", "speaks version 99 of the protocol only."),
    "only_garbage": ("agent_protocol", "keeps writing what is not of the protocol."),
    "flood_line": ("agent_protocol", "sent a message of more than 32 MB."),
    "broken_answer": ("agent_protocol", "broke the protocol"),
    "dies": ("agent_ended", "ended in the middle of its work, with exit code 3."),
    "dies_at_once": ("agent_ended", "ended before it said anything, with exit code 7."),
    "dies_by_signal": ("agent_ended", "in the middle of its work"),
    "refuses": ("agent_refused", "refused to go on."),
    "limited": ("model_rate_limited", "It can be asked again at 2026-03-01T12:00:00+00:00."),
    "logged_out": ("agent_needs_login", "asks for a login of its own"),
    "asks": ("agent_asks_without_end", "asked for more than 500 permissions."),
    "deletes_git": ("critical_incident", "A command changed git's own files."),
    "nothing": ("gate_failed", "The repository is unchanged"),
}
WORKING = ("flood_and_work", "wide_entries", "rewrites_history", "detaches", "stays_in_rebase")


def started(shop: Shop, executor_command: list[str]) -> tuple[Case, UUID]:
    """A customer whose agent is at work."""
    case = shop.engine.customer(executor="acp", agent_command=executor_command)
    task = case.task("", "Do it")
    case.start()
    return case, task


@pytest.fixture(scope="module")
def agent(shop: Shop) -> Path:
    program = shop.engine.folder / "misbehaving"
    program.write_text(f"#!{sys.executable}\n{AGENT.read_text()}")
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def ended(shop: Shop, agent: Path) -> dict[str, tuple[Case, AttemptView]]:
    """Every behaviour's attempt, when all have ended."""
    begun = {name: started(shop, [str(agent), name]) for name in (*FAILING, *WORKING)}
    begun["not installed"] = started(shop, ["no-such-agent"])
    for case, _ in begun.values():
        case.settled(timeout=240)
    return {name: (case, case.attempt(task)) for name, (case, task) in begun.items()}


@pytest.mark.parametrize("behaviour", FAILING)
def test_agent_that_goes_wrong_ends_its_attempt_with_a_code_and_a_sentence(
    ended: dict[str, tuple[Case, AttemptView]], behaviour: str
) -> None:
    case, attempt = ended[behaviour]
    code, words = FAILING[behaviour]
    assert attempt.outcome == "failed", why(case, attempt)
    assert attempt.reason is not None
    assert attempt.reason.code == code, attempt.reason
    assert words in attempt.reason.text
    assert case.subjects() == ["Begin"]
    assert attempt.workspace_kept
    case.assert_no_process_is_left()


def test_agent_that_is_not_installed_is_named(ended: dict[str, tuple[Case, AttemptView]]) -> None:
    case, attempt = ended["not installed"]
    assert attempt.reason is not None
    assert attempt.reason.code == "agent_not_installed"
    assert "there is no program no-such-agent" in attempt.reason.text
    case.assert_no_process_is_left()


@pytest.mark.parametrize("behaviour", WORKING)
def test_work_of_an_agent_that_harms_git_or_floods_is_delivered_all_the_same(
    ended: dict[str, tuple[Case, AttemptView]], behaviour: str
) -> None:
    case, attempt = ended[behaviour]
    assert attempt.outcome == "succeeded", why(case, attempt)
    assert len(case.subjects()) == 2
    assert case.subjects()[-1] == "Begin"
    assert git(case.repository.bare, "fsck", "--strict") == ""
    case.assert_no_process_is_left()


def test_output_beyond_what_is_kept_is_counted_not_stored(
    shop: Shop, ended: dict[str, tuple[Case, AttemptView]]
) -> None:
    _, attempt = ended["flood_and_work"]
    length, end = "length(string_agg(text, ''))", "right(string_agg(text, '' ORDER BY \"offset\"), 100)"
    values = f"SELECT {{}} FROM attempt_output WHERE attempt_id = '{attempt.id}'"
    assert LIMIT - 1000 < shop.engine.scalar(values.format(length)) < LIMIT + 1000
    assert "characters of output were not kept." in shop.engine.scalar(values.format(end))


def test_entries_of_any_width_are_cut_to_what_can_be_kept(
    shop: Shop, ended: dict[str, tuple[Case, AttemptView]]
) -> None:
    _, attempt = ended["wide_entries"]
    size = shop.engine.scalar(
        "SELECT sum(length(data::text)) FROM attempt_entries WHERE attempt_id = :id", id=attempt.id
    )
    assert 100_000 < size < 22_000_000
    assert any("longer than is kept" in str(entry.data.get("text")) for entry in shop.entries(attempt))


# --- models ---

MALFORMED: list[Step] = [
    Answer(calls=[Call("edit_file", raw='{"path": "a.txt", ')]),
    Answer(calls=[Call("no_such_tool", {"x": 1})]),
    Answer(calls=[Call("edit_file", {"path": ["a.txt"]})]),
    EDIT,
    say("Done."),
]
CUT_TWICE: list[Step] = [Fault(cut=True), Fault(cut=True), EDIT, say("Done.")]
LIMIT_WITHOUT_TIME: list[Step] = [Fault(429), Fault(429), EDIT, say("Done.")]
FAILS_TWICE: list[Step] = [Fault(500), Fault(503), EDIT, say("Done.")]

RECOVERS: dict[str, Script] = {
    "malformed tool calls": MALFORMED,
    "a stream that is cut": CUT_TWICE,
    "a rate limit without a time": LIMIT_WITHOUT_TIME,
    "errors of the server": FAILS_TWICE,
}
GIVES_UP: dict[str, tuple[Script, str, str]] = {
    "401": (lambda _: Fault(401), "model_unauthorized", "it does not accept the key"),
    "402": (lambda _: Fault(402), "model_payment_required", "there is no credit left"),
    "403": (lambda _: Fault(403), "model_forbidden", "the key may not use the model"),
    "429 for hours": (
        lambda _: Fault(429, headers={"retry-after": "7200"}),
        "model_rate_limited",
        "at their limit until",
    ),
    "500 for ever": (lambda _: Fault(500), "model_unavailable", "cannot be reached or fails (status 500)"),
    "400": (lambda _: Fault(400), "model_bad_request", "refused the call as malformed"),
    "never a sound call": (
        lambda _: Answer(calls=[Call("edit_file", raw="{")]),
        "agent_turns_used",
        "used up its turns",
    ),
}


@pytest.fixture(scope="module")
def answered(shop: Shop) -> dict[str, tuple[Case, AttemptView]]:
    """The built-in agent's attempt on every such model, when all have ended."""
    begun = {}
    for name, script in [*RECOVERS.items(), *((name, script) for name, (script, _, _) in GIVES_UP.items())]:
        case = shop.model(script).case(gates=[SAYS_TWO, gate("true", name="always")])
        task = case.task("", "Say two")
        case.start()
        begun[name] = case, task
    for case, _ in begun.values():
        case.settled(timeout=240)
    return {name: (case, case.attempt(task)) for name, (case, task) in begun.items()}


@pytest.mark.parametrize("fault", RECOVERS)
def test_agent_gets_over_a_provider_that_fails_for_a_while(
    answered: dict[str, tuple[Case, AttemptView]], fault: str
) -> None:
    case, attempt = answered[fault]
    assert (attempt.outcome, attempt.round) == ("succeeded", 1), why(case, attempt)
    assert case.show("a.txt") == "two"
    case.assert_no_process_is_left()


@pytest.mark.parametrize("fault", GIVES_UP)
def test_provider_that_goes_on_failing_ends_the_attempt_with_a_code_and_a_sentence(
    answered: dict[str, tuple[Case, AttemptView]], fault: str
) -> None:
    case, attempt = answered[fault]
    _, code, words = GIVES_UP[fault]
    assert attempt.outcome == "failed", why(case, attempt)
    assert attempt.reason is not None
    assert (attempt.reason.code, words in attempt.reason.text) == (code, True), attempt.reason
    assert case.subjects() == ["Begin"]
    case.assert_no_process_is_left()
