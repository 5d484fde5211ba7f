"""An agent goes on from what another executor, or another model, had done."""

from devteam.access.model import ENGINE
from devteam.executions.again import Again, RunAgainInput
from devteam.executions.compare import Comparisons
from devteam.kit.clock import utc_now
from devteam.projects.schemas import ExecutorKind
from tests.engine.test_agents import EDIT, SAYS_TWO, Shop, by_results, pytestmark, shop, texts, why
from tests.engine.world import eventually
from tests.peers.model_server import call, say

__all__ = ["pytestmark", "shop"]


def test_command_that_failed_is_run_again_by_an_agent_from_its_round(shop: Shop) -> None:
    model = shop.model(by_results(EDIT, say("It says two.")))
    case = shop.engine.customer(gates=[SAYS_TWO])
    task = case.task("echo beside > b.txt", title="Say two")
    case.run()
    first = case.attempt(task)
    assert first.outcome == "failed", why(case, first)
    wanted = RunAgainInput(
        from_round=1, executor=ExecutorKind.NATIVE, model=model.name, budget_usd=2, instructions="Edit a.txt."
    )
    Again(shop.engine.database, utc_now).run_again(ENGINE, first.id, wanted)
    case.settled()
    second = case.attempt(task)
    assert (second.outcome, second.executor) == ("succeeded", "native"), why(case, second)
    assert case.show("a.txt") == "two" and case.show("b.txt") == "beside"
    (prompt,) = texts(shop.entries(second), "prompt")
    assert "holds what an earlier attempt had done" in prompt and "Edit a.txt." in prompt
    assert second.request is not None and second.request.model == model.name

    compared = Comparisons(shop.engine.database).compare(ENGINE, first.id, second.id)
    assert (compared.left.models, compared.right.models) == ([], [model.name])
    gate = next(each for each in compared.gates if each.name == "says two")
    assert gate.left is not None and gate.right is not None
    assert (gate.left.passed, gate.right.passed) == (False, True)
    assert [(file.path, file.left is None, file.same) for file in compared.files] == [
        ("a.txt", True, False),
        ("b.txt", False, True),
    ]


def test_agent_is_told_what_had_been_done_up_to_the_chosen_entry(shop: Shop) -> None:
    write = call("write_file", path="b.txt", content="begun\n")
    first_model = shop.model([write, say("First round."), call("read_file", path="a.txt"), *[say("Enough.")] * 3])
    case = first_model.case(gates=[SAYS_TWO])
    task = case.task("", title="Say two")
    case.run()
    first = case.attempt(task)
    assert first.outcome == "failed", why(case, first)
    entries = shop.entries(first)
    reads = next(entry for entry in entries if entry.kind == "tool_call" and "a.txt" in str(entry.data))
    second_model = shop.model(by_results(EDIT, say("It says two.")))
    Again(shop.engine.database, utc_now).run_again(
        ENGINE, first.id, RunAgainInput(from_ordinal=reads.ordinal, model=second_model.name)
    )
    case.settled()
    second = eventually(lambda: a if (a := case.attempt(task)).number == 2 else None)
    assert second.outcome == "succeeded", why(case, second)
    assert second.request is not None
    assert (second.request.from_round, second.request.from_ordinal) == (1, reads.ordinal)
    assert case.show("b.txt") == "begun", "what the first round left"
    (prompt,) = texts(shop.entries(second), "prompt")
    before, _, since = prompt.partition("NOT in the files")
    assert "said: First round." in before and "did: " in since
    assert "Enough." not in prompt
    assert len(second_model.seen) == 2
