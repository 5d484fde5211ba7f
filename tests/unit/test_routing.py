"""Who does a task: sizes, languages, the order of choices, and what is passed over."""

from collections.abc import Collection, Mapping

import pytest
from pydantic import ValidationError

from devteam.projects.languages import main_language
from devteam.projects.routing import ROUTES, RouteRule, as_routes
from devteam.projects.rules import (
    Choice,
    Condition,
    Decision,
    Obstacle,
    Route,
    Routing,
    TaskSize,
    Traits,
    candidates,
    choose,
    size_of,
)

BUG = Traits("bug", TaskSize.SMALL, "python", frozenset({"ui", "urgent"}))
NATIVE, CLAUDE, COMMAND = Choice("native", "m1"), Choice("claude", "m2"), Choice("command")
MISSING = Obstacle("agent_not_installed", "It is not installed.")


def order(routing: Routing) -> list[Choice]:
    return [candidate.choice for candidate in candidates(routing)]


def decide(
    routing: Routing,
    *,
    missing: Collection[Choice] = (),
    now: Mapping[Choice, Obstacle] | None = None,
    before: Collection[Choice] = (),
) -> Decision:
    return choose(
        candidates(routing),
        lambda choice: MISSING if choice in missing else None,
        failed_now=now or {},
        failed_before=before,
    )


@pytest.mark.parametrize(
    ("seconds", "size"),
    [(None, "unknown"), (1, "small"), (1800, "small"), (1801, "medium"), (14_400, "medium"), (14_401, "large")],
)
def test_size_follows_the_estimate(seconds: float | None, size: str) -> None:
    assert size_of(seconds) == size


@pytest.mark.parametrize(
    ("files", "language"),
    [
        ([], None),
        ([("README.md", 900), ("LICENSE", 900)], None),
        ([("a.py", 10), ("b.PY", 10), ("c.go", 15)], "python"),
        ([("src/main.rs", 10), ("vendor/lib.c", 900), ("web/node_modules/x.js", 900)], "rust"),
        ([("app.ts", 10), ("app.min.js", 900)], "typescript"),
        ([("b.go", 5), ("a.c", 5)], "c"),
        ([(".py", 5), ("py", 5)], None),
    ],
)
def test_language_is_that_of_most_bytes(files: list[tuple[str, int]], language: str | None) -> None:
    assert main_language(files) == language


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition(), True),
        (Condition(kinds=frozenset({"bug", "typo"})), True),
        (Condition(kinds=frozenset({"feature"})), False),
        (Condition(sizes=frozenset({"small"}), languages=frozenset({"python"})), True),
        (Condition(sizes=frozenset({"small"}), languages=frozenset({"go"})), False),
        (Condition(labels=frozenset({"ui", "other"})), True),
        (Condition(labels=frozenset({"other"})), False),
    ],
)
def test_condition_wants_every_trait_that_it_names_and_one_of_the_labels(condition: Condition, *, holds: bool) -> None:
    assert condition.holds(BUG) is holds


def test_language_that_is_not_known_fits_no_condition_on_it() -> None:
    assert not Condition(languages=frozenset({"python"})).holds(Traits("bug", TaskSize.SMALL))


def test_first_rule_that_fits_is_asked_and_the_default_comes_last() -> None:
    routes = (
        Route(Condition(kinds=frozenset({"feature"})), (COMMAND,)),
        Route(Condition(kinds=frozenset({"bug"})), (CLAUDE, NATIVE)),
        Route(Condition(), (Choice("codex"),)),
    )
    assert order(Routing(NATIVE, BUG, routes)) == [CLAUDE, NATIVE]
    assert order(Routing(COMMAND, BUG, routes)) == [CLAUDE, NATIVE, COMMAND]
    assert order(Routing(NATIVE, BUG)) == [NATIVE]
    decision = decide(Routing(COMMAND, BUG, routes))
    assert decision.text == "claude with m2, by rule 2 (bug)."


def test_what_the_task_names_comes_before_every_rule() -> None:
    routes = (Route(Condition(), (CLAUDE,)),)
    assert order(Routing(COMMAND, BUG, routes, executor="qwen")) == [Choice("qwen"), CLAUDE, COMMAND]
    assert order(Routing(NATIVE, BUG, routes, executor="native")) == [NATIVE, CLAUDE]
    assert order(Routing(NATIVE, BUG, routes, executor="native", model="m9")) == [
        Choice("native", "m9"),
        CLAUDE,
    ], "the model is meant for the executor that is named with it"
    assert order(Routing(COMMAND, BUG, routes, model="m9")) == [Choice("claude", "m9"), COMMAND]


def test_choice_without_a_model_takes_the_projects_when_it_is_the_projects_executor() -> None:
    routes = (Route(Condition(), (Choice("claude"), Choice("native"))),)
    assert order(Routing(NATIVE, BUG, routes)) == [Choice("claude"), NATIVE]


def test_missing_first_choice_falls_back_and_says_so() -> None:
    decision = decide(Routing(COMMAND, BUG, (Route(Condition(), (CLAUDE, NATIVE)),)), missing=[CLAUDE])
    assert decision.chosen is not None and decision.chosen.choice == NATIVE
    assert decision.text == (
        "native with m1, by rule 1 (every task). Passed over: claude with m2: It is not installed."
    )


def test_when_nobody_can_the_reasons_are_told() -> None:
    decision = decide(Routing(COMMAND, BUG, (Route(Condition(), (CLAUDE,)),)), missing=[CLAUDE, COMMAND])
    assert decision.chosen is None
    assert list(decision.passed) == [CLAUDE, COMMAND]
    assert "claude with m2: It is not installed" in decision.text


def test_what_failed_in_this_attempt_is_not_tried_again() -> None:
    routing = Routing(COMMAND, BUG, (Route(Condition(), (CLAUDE,)),))
    gone = Obstacle("agent_ended", "It ended.")
    decision = decide(routing, now={CLAUDE: gone})
    assert decision.chosen is not None and decision.chosen.choice == COMMAND
    assert "claude with m2: It ended" in decision.text
    assert decide(routing, now={CLAUDE: gone}, missing=[COMMAND]).chosen is None


def test_what_failed_in_an_earlier_attempt_is_tried_last() -> None:
    routing = Routing(COMMAND, BUG, (Route(Condition(), (CLAUDE, NATIVE)),))
    decision = decide(routing, before=[CLAUDE])
    assert decision.chosen is not None and decision.chosen.choice == NATIVE
    assert "failed by its own fault in an earlier attempt" in decision.text
    again = decide(routing, before=[CLAUDE, NATIVE, COMMAND])
    assert again.chosen is not None and again.chosen.choice == CLAUDE, "all have failed: from the beginning again"
    last = decide(routing, before=[CLAUDE], missing=[NATIVE, COMMAND])
    assert last.chosen is not None and last.chosen.choice == CLAUDE


def test_rules_are_read_as_they_are_sent() -> None:
    sent = [{"when": {"kinds": [" Bug "], "sizes": ["small"]}, "choices": [{"executor": "claude", "model": "m2"}]}]
    rules = ROUTES.validate_python(sent)
    assert as_routes(rules) == (
        Route(Condition(kinds=frozenset({"bug"}), sizes=frozenset({"small"})), (Choice("claude", "m2"),)),
    )
    assert candidates(Routing(COMMAND, BUG, as_routes(rules)))[0].by == "rule 1 (bug, small)"
    stored = [rule.model_dump(mode="json") for rule in rules]
    assert ROUTES.validate_python(stored) == rules


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"choices": []}, "at least 1"),
        ({"choices": [{"executor": "cursor"}]}, "'native'"),
        ({"choices": [{"executor": "command", "model": "m"}]}, "uses no model"),
        ({"choices": [{"executor": "claude"}, {"executor": "claude"}]}, "twice"),
        ({"when": {"sizes": ["huge"]}, "choices": [{"executor": "claude"}]}, "'small'"),
        ({"when": {"kinds": ["two words"]}, "choices": [{"executor": "claude"}]}, "single word"),
        ({"when": {"colour": ["red"]}, "choices": [{"executor": "claude"}]}, "not permitted"),
    ],
)
def test_rule_that_makes_no_sense_is_refused(rule: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        RouteRule.model_validate(rule)
