"""The built-in agent at work: gateway, fence, gates, rounds and delivery, with a model that follows a script."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import pytest

from devteam.access.model import ENGINE
from devteam.adapters.secret_box import SecretBox
from devteam.entrypoints.catalogue import executor_profiles
from devteam.executions.agents import Agents, SessionEntry
from devteam.executions.schemas import AttemptView
from devteam.kit.clock import utc_now
from devteam.kit.db import sql
from devteam.providers.schemas import PriceInput, ProviderInput, ProviderPatch, ProviderView
from devteam.providers.service import ProviderService
from tests.agents.jobs import SMALL
from tests.engine.databases import fresh_database
from tests.engine.world import Case, Engine, engine, eventually, gate
from tests.integration.git_projects import git
from tests.peers.model_server import Answer, Fault, ModelServer, Script, Seen, Step, call, say
from tests.peers.record_session import SESSIONS, scrubbed
from tests.peers.scripted_agent import build

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed: agents are refused")

KEY = "sk-the-real-key-0123456789abcdef"
EDIT = call("edit_file", path="a.txt", old_text="one", new_text="two")
SAYS_TWO = gate("grep -q two a.txt", name="says two")


@dataclass
class Shop:
    """An engine with a worker, and models that tests script; each test has models of its own."""

    engine: Engine
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        box = SecretBox(self.engine.data / "run" / "secret.key")
        self.providers = ProviderService(self.engine.database, utc_now, box)
        self.agents = Agents(self.engine.database, utc_now, executor_profiles())

    def model(self, *scripts: Script, priced: tuple[float, float] | None = (3, 15)) -> "Model":
        """A model that one provider per script offers, tried in that order; `priced` is input and output."""
        name = f"model-{uuid4().hex[:8]}"
        servers = [self.stack.enter_context(ModelServer(script)) for script in scripts]
        if priced is not None:
            price = PriceInput(model=name, input_usd=priced[0], cached_usd=priced[0], output_usd=priced[1])
            self.providers.set_price(ENGINE, price)
        views = [
            self.providers.add(
                ENGINE,
                ProviderInput.model_validate(
                    {
                        "name": f"provider {number} of {name}",
                        "kind": "openai",
                        "base_url": server.openai_url,
                        "secret": KEY,
                        "models": [name],
                    }
                ),
            )
            for number, server in enumerate(servers, start=1)
        ]
        return Model(self, name, servers, views)

    def entries(self, attempt: AttemptView) -> list[SessionEntry]:
        return self.agents.session(ENGINE, attempt.id, after=0, limit=1000).entries


@dataclass
class Model:
    """A scripted model, its servers and its providers."""

    shop: Shop
    name: str
    servers: list[ModelServer]
    providers: list[ProviderView]

    @property
    def seen(self) -> list[Seen]:
        return self.servers[0].seen

    def case(self, **project: Any) -> Case:
        """A customer whose project is worked on by the built-in agent on this model."""
        return self.shop.engine.customer(executor="native", model=self.name, **project)

    def parked(self) -> ProviderView | None:
        found = [each for each in self.shop.providers.all(ENGINE) if each.id == self.providers[0].id]
        return found[0] if found and found[0].parked_until is not None else None

    def statuses(self, attempt: AttemptView) -> list[int]:
        with self.shop.engine.database.transaction() as connection:
            rows = connection.execute(
                sql("SELECT status FROM attempt_calls WHERE attempt_id = :id ORDER BY at, id"), {"id": attempt.id}
            )
            return list(rows.scalars())


@pytest.fixture(scope="module")
def shop(postgres_url: str, engine_template: str) -> Iterator[Shop]:
    folder = Path(tempfile.mkdtemp(prefix="devteam-engine-"))
    try:
        with fresh_database(postgres_url, engine_template) as url, engine(url, folder) as made:
            made.worker(slots=4)
            shop = Shop(made)
            with shop.stack:
                yield shop
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def why(case: Case, attempt: AttemptView) -> str:
    """What a failed assertion should tell of an attempt."""
    return f"{attempt.outcome} in round {attempt.round}: {attempt.reason}\n{case.output(attempt)[-3000:]}"


def by_results(*answers: Answer) -> Callable[[Seen], Step]:
    """Answers by the number of tool results in the conversation."""
    return lambda seen: answers[min(len(seen.results()), len(answers) - 1)]


def texts(entries: Sequence[SessionEntry], kind: str) -> list[str]:
    return [str(entry.data.get("text", "")) for entry in entries if entry.kind == kind]


def test_failing_gate_goes_back_to_the_agent_and_the_second_round_is_delivered(shop: Shop) -> None:
    model = shop.model([call("read_file", path="a.txt"), say("Done, I believe."), EDIT, say("Now it says two.")])
    case = model.case(gates=[SAYS_TWO], budget_usd=5)
    task = case.task("", "Say two", description="The file a.txt says one.")
    case.run()
    attempt = case.attempt(task)
    assert (case.view(task).status, attempt.outcome, attempt.round) == ("completed", "succeeded", 2), why(case, attempt)
    gates = [(g.round, g.passed) for g in attempt.gates if g.name == "says two" and g.stage == "post_task"]
    assert gates == [(1, False), (2, True)]
    assert case.show("a.txt") == "two"
    assert case.deliveries(attempt) == [attempt.commit]
    assert attempt.isolation is not None and "bubblewrap" in attempt.isolation

    entries = shop.entries(attempt)
    first, second = texts(entries, "prompt")
    assert "The file a.txt says one." in first and "grep -q two a.txt" in first
    assert "says two" in second and "The file a.txt says one." not in second, "the session was loaded, not begun anew"
    assert texts(entries, "message") == ["Done, I believe.", "Now it says two."]
    edits = [e.data for e in entries if e.kind == "tool_update" and e.data.get("status") == "completed"]
    assert any(item.get("type") == "diff" for data in edits for item in data.get("content", []))
    assert attempt.prompt_version is not None
    assert (attempt.calls, attempt.input_tokens, attempt.output_tokens) == (4, 400, 40)
    assert attempt.cost_usd == pytest.approx((400 * 3 + 40 * 15) / 1e6)
    assert "DevTeam checked your work" in json.dumps(model.seen[2].body)


def test_recorded_session_is_stored_entry_by_entry_and_its_second_round_delivered(shop: Shop, tmp_path: Path) -> None:
    recording = SESSIONS / "opencode.jsonl"
    program = build(shop.engine.folder / "scripted-agent", recording, anyPrompt=True)
    case = shop.engine.customer(executor="acp", agent_command=[str(program)], gates=[gate("grep -q 'a + b' calc.py")])
    case.repository.commit(dict(SMALL.files))
    task = case.task("", "Mend it")
    case.run()
    attempt = case.attempt(task)
    assert (attempt.outcome, attempt.round) == ("succeeded", 2), why(case, attempt)
    assert case.show(SMALL.path) == SMALL.mended.strip()
    workspace = shop.engine.data / "workspaces" / str(attempt.id) / "tree"
    lines = [json.loads(line) for line in recording.read_text(encoding="utf-8").splitlines()]
    wanted = [[line["kind"], line["entry"]] for line in lines if "entry" in line and line["kind"] != "prompt"]
    told = [[entry.kind, entry.data] for entry in shop.entries(attempt) if entry.kind != "prompt"]
    assert scrubbed(told, workspace) == wanted


def test_real_key_reaches_the_provider_and_nothing_else(shop: Shop) -> None:
    environments: list[str] = []
    cases: list[Case] = []
    snoop = call("shell", command="env; cat /proc/*/environ /proc/*/cmdline; find / -name secret.key 2>&-; echo .")

    def watch(seen: Seen) -> Step:
        """While the agent waits for its model: what the machine's administrator could read of its processes."""
        for outer in cases[0].processes():
            for process in [outer, *outer.children(recursive=True)]:
                with suppress(psutil.Error):
                    environments.append(str([process.cmdline(), process.environ()]))
        return by_results(snoop, call("shell", command="env >> a.txt"), say("Nothing found."))(seen)

    model = shop.model(watch)
    cases.append(model.case(gates=[gate("true")]))
    case = cases[0]
    task = case.task("", "Look around")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    assert {seen.headers["authorization"] for seen in model.seen} == {f"Bearer {KEY}"}
    assert "OPENAI_API_KEY" in "".join(environments), "the agent's own processes were looked at"
    listing = subprocess.run(["ps", "axeww"], capture_output=True, text=True, check=True).stdout
    told = json.dumps([seen.body for seen in model.seen])
    kept = "".join(entry.model_dump_json() for entry in shop.entries(attempt)) + case.output(attempt)
    assert "OPENAI_API_KEY" in told, "the agent saw its own environment"
    for place in (told, kept, listing, case.show("a.txt"), everything_stored(shop), *environments):
        assert KEY not in place
        assert KEY.encode().hex() not in place
    assert "/secret.key" not in told, "the sealing key is out of its reach"
    for file in (shop.engine.data / "workspaces").rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def everything_stored(shop: Shop) -> str:
    """Every row of every table as text."""
    with shop.engine.database.transaction() as connection:
        tables = connection.execute(sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        return "".join(
            str(connection.execute(sql(f'SELECT string_agg(t::text, chr(10)) FROM "{table}" t')).scalar())
            for table in tables
        )


def test_done_over_an_unchanged_repository_is_no_success(shop: Shop) -> None:
    model = shop.model(lambda _: say("Done. All tests pass."))
    case = model.case()
    task = case.task("", "Improve everything")
    case.run()
    attempt = case.attempt(task)
    assert (case.view(task).status, attempt.outcome, attempt.round) == ("failed", "failed", 3), why(case, attempt)
    assert attempt.reason is not None and "unchanged" in attempt.reason.text
    assert case.subjects() == ["Begin"]


def test_key_that_the_provider_refuses_is_told_with_the_providers_name(shop: Shop) -> None:
    model = shop.model(lambda _: Fault(401, message=f"bad key {KEY}"))
    case = model.case()
    task = case.task("", "Say two")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "failed" and attempt.reason is not None
    assert attempt.reason.text == f"The provider {model.providers[0].name} answered 401: it does not accept the key."
    assert attempt.reason.code == "model_unauthorized"
    assert attempt.reason.text in texts(shop.entries(attempt), "note")
    assert KEY not in case.output(attempt) and KEY not in everything_stored(shop), (
        "not even when the provider quotes it"
    )


def test_task_is_handed_on_when_the_chosen_model_is_refused_before_anything_was_done(shop: Shop) -> None:
    refusing = shop.model(lambda _: Fault(401, message="bad key"))
    willing = shop.model([EDIT, say("Now it says two.")])
    choices = [{"executor": "native", "model": model.name} for model in (refusing, willing)]
    case = shop.engine.customer(routes=[{"choices": choices}], gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.run()
    attempts = [each for each in case.attempts() if each.task_id == task]
    assert [(each.outcome, each.model) for each in attempts] == [("succeeded", willing.name)], why(case, attempts[0])
    assert attempts[0].route is not None
    assert attempts[0].route.startswith(f"native with {willing.name}, by rule 1 (every task). Passed over: native with")
    assert f"DevTeam-Model: {willing.name}" in git(case.repository.bare, "log", "-1", "--format=%B", "main")
    assert len([text for text in texts(shop.entries(attempts[0]), "prompt") if "Say two" in text]) == 2


def test_spending_stops_in_the_middle_of_a_run_before_the_budget_is_overshot(shop: Shop) -> None:
    dear = Answer(calls=call("read_file", path="a.txt").calls, input_tokens=100_000, output_tokens=1_000)
    model = shop.model(lambda _: dear)
    case = model.case(budget_usd=1.0)
    task = case.task("", "Spend a lot")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "failed" and attempt.reason is not None
    assert "budget" in attempt.reason.text and "of 1.0000 US dollars" in attempt.reason.text
    assert attempt.cost_usd == pytest.approx(0.315 * len(model.seen))
    assert 2 <= len(model.seen) <= 3 and 0.315 * len(model.seen) <= 1.0
    assert attempt.reason.text in texts(shop.entries(attempt), "note")


def test_budget_for_a_model_without_a_price_is_refused_with_what_to_do(shop: Shop) -> None:
    model = shop.model([say("never asked")], priced=None)
    case = model.case(budget_usd=1.0)
    task = case.task("", "Say two")
    case.run()
    attempt = case.attempt(task)
    assert attempt.reason is not None
    assert attempt.reason.text == f"The price of {model.name} is unknown, so the budget cannot be kept: set one."
    assert model.seen == [] and attempt.calls == 0


def test_model_without_a_price_works_without_a_budget_and_its_cost_is_unknown(shop: Shop) -> None:
    model = shop.model(by_results(EDIT, say("Done.")), priced=None)
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.run()
    attempt = case.attempt(task)
    assert (attempt.outcome, attempt.calls, attempt.cost_usd) == ("succeeded", 2, None)


def test_guidance_reaches_the_agents_next_call_in_the_middle_of_its_turn(shop: Shop) -> None:
    after = [EDIT, say("It says two.")]

    def script(seen: Seen) -> Step:
        if "Say two, please." in json.dumps(seen.body):
            return after.pop(0)
        return Answer(calls=call("read_file", path="a.txt").calls, pause=0.3)

    model = shop.model(script)
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Do what you like")
    case.start()
    eventually(lambda: model.seen, what="the agent asked its model")
    attempt = case.in_phase("execution")
    shop.agents.guide(ENGINE, attempt.id, "Say two, please.")
    case.settled()
    attempt = case.attempt(task)
    assert (attempt.outcome, attempt.round) == ("succeeded", 1), why(case, attempt)
    assert case.show("a.txt") == "two"
    steers = texts(shop.entries(attempt), "steer")
    assert len(steers) == 1
    assert "Say two, please." in steers[0]
    assert shop.agents.session(ENGINE, attempt.id, after=0, limit=1).waiting == []


def test_provider_that_fails_is_stood_in_for_by_the_next(shop: Shop) -> None:
    model = shop.model(lambda _: Fault(500), by_results(EDIT, say("Done.")))
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.run()
    attempt = case.attempt(task)
    assert attempt.outcome == "succeeded", why(case, attempt)
    assert model.statuses(attempt) == [500, 200, 500, 200]
    assert attempt.calls == 4
    assert attempt.cost_usd == pytest.approx(2 * (100 * 3 + 10 * 15) / 1e6)
    assert len(model.servers[1].seen) == 2


def test_provider_at_its_limit_is_parked_until_it_said_and_the_call_waits(shop: Shop) -> None:
    faults = [Fault(429, headers={"retry-after": "3"})]

    def script(seen: Seen) -> Step:
        return faults.pop() if faults else by_results(EDIT, say("Done."))(seen)

    model = shop.model(script)
    case = model.case(gates=[SAYS_TWO])
    task = case.task("", "Say two")
    case.start()
    parked = eventually(model.parked, what="the provider is parked")
    assert parked.parked_reason == "It asked to wait until then."
    case.settled()
    attempt = case.attempt(task)
    assert (attempt.outcome, attempt.round) == ("succeeded", 1), why(case, attempt)
    assert model.statuses(attempt) == [429, 200, 200]
    assert model.seen[1].at - model.seen[0].at >= 2.9
    assert attempt.cost_usd == pytest.approx(2 * (100 * 3 + 10 * 15) / 1e6)


def test_without_a_provider_the_task_waits_for_a_person_and_says_what_to_do(shop: Shop) -> None:
    model = shop.model([say("never asked")])
    archive(shop, model.providers[0].id)
    case = model.case()
    task = case.task("", "Say two")
    case.run()
    view = case.view(task)
    assert view.status == "blocked" and view.status_reason is not None
    assert model.name in view.status_reason.text or "devteam provider add" in view.status_reason.text


def archive(shop: Shop, provider_id: UUID) -> None:
    shop.providers.edit(ENGINE, provider_id, ProviderPatch(archived=True))
