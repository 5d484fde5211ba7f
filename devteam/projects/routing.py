"""A project's rules for who does which tasks, as they are sent and stored."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from devteam.kit.wire import Input
from devteam.projects.rules import Choice, Condition, ExecutorKind, Route, TaskSize

OTHER_KIND = "other"
"""The kind of a task of which nothing is said."""
CHECK_KIND = "executor-check"
"""The kind of the tasks by which executors are tried out; no figures are made of them."""


def _a_word(text: str) -> str:
    """Compared letter by letter, so case and blanks must not matter."""
    word = text.strip().lower()
    if not word or not all(letter.isalnum() or letter in "-_.+#/" for letter in word):
        raise ValueError("a single word is needed, of letters, digits and -_.+#/")
    return word


Word = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_a_word)]


class ExecutorChoice(Input):
    """An executor and its model; without a model the first that a provider offers."""

    executor: ExecutorKind
    model: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")

    @model_validator(mode="after")
    def _fits_together(self) -> "ExecutorChoice":
        if self.executor is ExecutorKind.COMMAND and self.model is not None:
            raise ValueError("the executor command uses no model")
        return self


class RouteCondition(Input):
    """Which tasks a rule is for: each list that is given must hold the task's trait, of `labels` one is enough."""

    kinds: list[Word] = Field(default=[], max_length=50)
    sizes: list[TaskSize] = Field(default=[], max_length=4)
    languages: list[Word] = Field(default=[], max_length=50)
    labels: list[Word] = Field(default=[], max_length=50)


class RouteRule(Input):
    """Tasks that fit `when` go to the first of `choices` that can do them; the project's own executor comes last."""

    when: RouteCondition = RouteCondition()
    choices: list[ExecutorChoice] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _each_once(self) -> "RouteRule":
        named = [(choice.executor, choice.model) for choice in self.choices]
        if len(set(named)) != len(named):
            raise ValueError("the same executor with the same model stands there twice")
        return self


ROUTES: TypeAdapter[list[RouteRule]] = TypeAdapter(list[RouteRule])


def uses_own_agent(routes: Iterable[RouteRule]) -> bool:
    """Whether a rule names the executor acp, which needs the project's agentCommand."""
    return any(choice.executor is ExecutorKind.ACP for rule in routes for choice in rule.choices)


def as_routes(rules: Iterable[RouteRule]) -> tuple[Route, ...]:
    """The rules as the choice reads them."""
    return tuple(
        Route(
            Condition(
                frozenset(rule.when.kinds),
                frozenset(size.value for size in rule.when.sizes),
                frozenset(rule.when.languages),
                frozenset(rule.when.labels),
            ),
            tuple(Choice(choice.executor.value, choice.model) for choice in rule.choices),
        )
        for rule in rules
    )
