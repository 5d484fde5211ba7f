"""Real coding agents through the engine: in the fence, by the gateway, with a scripted model. No key, no network."""

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from devteam.access.model import ENGINE
from devteam.adapters.executors.profiles import PROFILES
from devteam.adapters.executors.programs import AgentPrograms
from devteam.adapters.secret_box import SecretBox
from devteam.entrypoints.catalogue import agent_programs
from devteam.executions.schemas import AttemptView
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from devteam.providers.schemas import PriceInput, ProviderInput, ProviderPatch
from devteam.providers.service import ProviderService
from tests.agents.jobs import LOOK_OUT, SMALL, Chore, OnlyWords, TwoRounds, real_chore
from tests.engine.world import Case, Engine
from tests.integration.git_projects import git
from tests.peers.model_server import ModelServer, Script

REAL_KEY = "sk-real-0123456789abcdef"
SECRET = "what another customer keeps"
PATIENCE = 240.0
"""Seconds for a whole job: an agent's start alone takes some, and the machine may be busy with a lot else."""

pytestmark = pytest.mark.timeout(600)


def agent(name: str, protocol: str) -> Any:
    """A test's parameters; skipped when the agent is not here."""
    missing = agent_programs().find(PROFILES[name].argv) is None
    reason = f"{PROFILES[name].title} is not installed: `make agents` does it where npm's registry can be reached"
    return pytest.param(name, protocol, id=f"{name}-{protocol}", marks=pytest.mark.skipif(missing, reason=reason))


AGENTS = [agent("opencode", "openai"), agent("claude", "anthropic"), agent("gemini", "google")]
OTHERS = [agent("native", "openai"), agent("opencode", "anthropic")]


@contextmanager
def provider(engine: Engine, protocol: str, model: str, script: Script) -> Iterator[ModelServer]:
    """The scripted model as the only provider of a model of its own."""
    providers = ProviderService(engine.database, utc_now, SecretBox(engine.data / "run" / "secret.key"))
    with ModelServer(script) as server:
        url = server.openai_url if protocol == "openai" else server.anthropic_url
        added = providers.add(
            ENGINE,
            ProviderInput.model_validate(
                {"name": model, "kind": protocol, "base_url": url, "secret": REAL_KEY, "models": [model]}
            ),
        )
        providers.set_price(ENGINE, PriceInput(model=model, input_usd=3, cached_usd=0.3, output_usd=15))
        try:
            yield server
        finally:
            providers.edit(ENGINE, added.id, ProviderPatch(archived=True))


@pytest.fixture(scope="module")
def chore(tmp_path_factory: pytest.TempPathFactory) -> Chore:
    return real_chore(tmp_path_factory.mktemp("package"))


def case_for(engine: Engine, name: str, model: str, chore: Chore = SMALL, **project: Any) -> Case:
    """A customer whose repository has a red test."""
    case = engine.customer(executor=name, model=model, gates=[chore.gate], **project)
    case.repository.commit(dict(chore.files))
    return case


def work(case: Case) -> AttemptView:
    """Let the engine do the one task, and see how it ended."""
    task = case.task(script="", title="Mend the failing test", description="One function is wrong.")
    case.start()
    case.settled(timeout=PATIENCE)
    return case.attempt(task)


def entries(engine: Engine, attempt: UUID) -> list[Any]:
    with engine.database.transaction() as connection:
        rows = connection.execute(
            sql("SELECT kind, data FROM attempt_entries WHERE attempt_id = :id ORDER BY ordinal"), {"id": attempt}
        )
        return [(row.kind, row.data) for row in rows]


def calls(engine: Engine, attempt: UUID) -> list[Any]:
    with engine.database.transaction() as connection:
        return list(connection.execute(sql("SELECT * FROM attempt_calls WHERE attempt_id = :id"), {"id": attempt}))


def _sent_key(headers: Mapping[str, str]) -> str:
    return headers.get("x-api-key") or headers.get("x-goog-api-key") or headers["authorization"]


@pytest.mark.parametrize(("name", "protocol"), [*AGENTS, *OTHERS])
def test_a_failing_gate_sends_the_agent_into_a_second_round_and_its_work_is_delivered(
    working: Engine, chore: Chore, name: str, protocol: str
) -> None:
    (working.data / "other-customer.txt").write_text(SECRET)
    model = f"model-{uuid4().hex[:8]}"
    with socket.create_server(("127.0.0.1", 0)) as host_service:
        host, port = host_service.getsockname()
        look_out = LOOK_OUT.format(secret=working.data / "other-customer.txt", data=working.data, host=host, port=port)

        def tree() -> Path:
            return working.data / "workspaces" / str(case.attempts()[0].id) / "tree"

        with provider(working, protocol, model, TwoRounds(name, chore, look_out, tree)) as server:
            case = case_for(working, name, model, chore, budget_usd=1.0)
            attempt = work(case)

    told = entries(working, attempt.id)
    assert attempt.outcome == "succeeded", (attempt.reason, told[-3:], working.workers[0].errors())
    assert (attempt.round, attempt.isolation) == (2, "bubblewrap")
    judged = [gate for gate in attempt.gates if (gate.stage, gate.name) == ("post_task", chore.gate["name"])]
    assert [(gate.round, gate.passed) for gate in judged] == [(1, False), (2, True)]
    assert case.show(chore.path) == chore.mended.strip()
    assert set(git(case.repository.bare, "ls-tree", "-r", "--name-only", "main").splitlines()) == {
        *chore.files,
        "README.md",
        "a.txt",
    }

    # Nothing that the fence hides was seen, and the machine's own services were out of reach.
    seen = "\n".join(text for request in server.seen for text in request.results())
    assert "No such file" in seen
    assert "ConnectionRefusedError" in seen
    assert SECRET not in seen
    assert "root:" not in seen

    # The agent never held the real key, which went out with each call; what it used is on record.
    sent = {_sent_key(request.headers) for request in server.seen}
    assert sent <= {REAL_KEY, f"Bearer {REAL_KEY}"}
    assert REAL_KEY not in str(told)
    recorded = calls(working, attempt.id)
    assert len(recorded) == len(server.seen) == 6
    assert {(call.status, call.input_tokens, call.output_tokens) for call in recorded} == {(200, 100, 10)}
    assert sum(call.cost_usd for call in recorded) == pytest.approx(6 * (100 * 3 + 10 * 15) / 1e6)

    # A person can read what happened.
    kinds = [kind for kind, _ in told]
    assert kinds.count("prompt") == 2
    assert {"message", "tool_call", "tool_update"} <= set(kinds)
    assert [data["text"] for kind, data in told if kind == "message"] == [
        "Done, I believe.",
        "The sign was wrong; the test passes.",
    ]
    asked = [data for kind, data in told if kind == "permission"]
    if name != "native":  # which is told at its start that it may edit and run commands
        assert any(chore.path in str(data["toolCall"]) and data["allowed"] for data in asked), asked
    case.assert_no_process_is_left()


@pytest.mark.parametrize(("name", "protocol"), AGENTS)
def test_words_alone_deliver_nothing(working: Engine, name: str, protocol: str) -> None:
    model = f"model-{uuid4().hex[:8]}"
    with provider(working, protocol, model, OnlyWords()):
        case = case_for(working, name, model)
        before = case.repository.head()
        attempt = work(case)
    assert attempt.outcome == "failed"
    assert attempt.round == 3
    assert case.repository.head() == before
    assert [incident.evidence for incident in case.snapshot().incidents] == [], "it calls nobody by itself"
    case.assert_no_process_is_left()


@pytest.mark.parametrize(("name", "protocol"), AGENTS)
def test_a_spent_budget_ends_the_attempt_and_says_so(working: Engine, name: str, protocol: str) -> None:
    model = f"model-{uuid4().hex[:8]}"
    with provider(working, protocol, model, OnlyWords()) as server:
        case = case_for(working, name, model, budget_usd=0.000_1)
        attempt = work(case)
    assert attempt.outcome == "failed"
    assert "budget" in str(attempt.reason)
    assert server.seen == []
    case.assert_no_process_is_left()


def test_an_agent_that_is_not_installed_is_named_with_its_package(
    working: Engine,
) -> None:
    if agent_programs().find(PROFILES["qwen"].argv) is not None:
        pytest.skip("Qwen Code is installed here, so nothing is missing")
    model = f"model-{uuid4().hex[:8]}"
    with provider(working, "openai", model, OnlyWords()):
        attempt = work(case_for(working, "qwen", model))
    assert attempt.outcome == "failed"
    assert "Qwen Code is not installed" in str(attempt.reason)
    assert "@qwen-code/qwen-code@0.15.10" in str(attempt.reason)


def test_what_make_agents_installs_is_what_the_engine_knows() -> None:
    folder = Path(__file__).parents[2] / "agents"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert {PROFILES[name].package for name in ("opencode", "claude")} == {
        f"{name}@{version}" for name, version in wanted.items()
    }
    if not (folder / "node_modules" / ".ready").exists():
        pytest.skip("`make agents` did not run, or could not reach npm's registry")
    programs = AgentPrograms(folder, "")
    assert all(programs.find(PROFILES[name].argv) is not None for name in ("opencode", "claude"))
