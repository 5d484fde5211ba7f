"""Which executor and model do a task: a project's rules by the task's traits, and the order in which they are tried."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

SMALL_SECONDS = 1800.0
"""A task is small when it is estimated at this or less."""
MEDIUM_SECONDS = 14_400.0
"""A task is medium when it is estimated at this or less, and large above."""

EXECUTORS_FAULTS = frozenset(
    {
        "agent_ended",
        "agent_error",
        "agent_needs_login",
        "agent_not_installed",
        "agent_not_started",
        "agent_protocol",
        "agent_silent",
        "executor_not_started",
        "executor_unknown",
        "fence_refused",
        "model_bad_answer",
        "model_bad_request",
        "model_forbidden",
        "model_not_configured",
        "model_payment_required",
        "model_rate_limited",
        "model_unauthorized",
        "model_unavailable",
        "no_command",
        "no_model",
        "price_unknown",
    }
)
"""Codes of failures that say nothing about the work: another executor, or another model, may well do it."""


class ExecutorKind(StrEnum):
    """What does the work of a project's tasks: the tasks' own commands, or an agent."""

    COMMAND = "command"
    NATIVE = "native"
    OPENCODE = "opencode"
    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    QWEN = "qwen"
    ACP = "acp"


class TaskSize(StrEnum):
    """How large a task is, by its estimate."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"
    UNKNOWN = "unknown"


def size_of(estimate_seconds: float | None) -> TaskSize:
    """The size that an estimate stands for."""
    if estimate_seconds is None:
        return TaskSize.UNKNOWN
    if estimate_seconds <= SMALL_SECONDS:
        return TaskSize.SMALL
    return TaskSize.MEDIUM if estimate_seconds <= MEDIUM_SECONDS else TaskSize.LARGE


@dataclass(frozen=True)
class Choice:
    """An executor, and the model that it asks for; None is the first that a provider offers."""

    executor: str
    model: str | None = None

    def __str__(self) -> str:
        return self.executor if self.model is None else f"{self.executor} with {self.model}"


@dataclass(frozen=True)
class Traits:
    """What rules can ask of a task; the language is the repository's, None while it is not known."""

    kind: str
    size: TaskSize
    language: str | None = None
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Condition:
    """Which tasks a rule is for. Each list that is not empty must hold the task's trait; of labels one is enough."""

    kinds: frozenset[str] = frozenset()
    sizes: frozenset[str] = frozenset()
    languages: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()

    def holds(self, traits: Traits) -> bool:
        """Whether the task is one of them."""
        return (
            (not self.kinds or traits.kind in self.kinds)
            and (not self.sizes or traits.size in self.sizes)
            and (not self.languages or traits.language in self.languages)
            and (not self.labels or not self.labels.isdisjoint(traits.labels))
        )

    def describe(self, traits: Traits) -> str:
        """The traits that it asked for, as the task has them."""
        asked = [
            traits.kind if self.kinds else "",
            traits.size.value if self.sizes else "",
            (traits.language or "") if self.languages else "",
            ", ".join(sorted(self.labels & traits.labels)),
        ]
        return ", ".join(part for part in asked if part) or "every task"


@dataclass(frozen=True)
class Route:
    """A rule: these tasks go to the first of these choices that can do them."""

    when: Condition
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Routing:
    """Everything that a choice is made from: the project's rules and default, the task's traits and its own wishes."""

    default: Choice
    traits: Traits
    routes: tuple[Route, ...] = ()
    executor: str | None = None
    """What the task itself names; it comes first."""
    model: str | None = None
    """The model that the task itself names."""

    @property
    def asks_language(self) -> bool:
        """Whether any rule wants to know the repository's language."""
        return any(route.when.languages for route in self.routes)


@dataclass(frozen=True)
class Candidate:
    """A choice in its turn, and by what it got there."""

    choice: Choice
    by: str


@dataclass(frozen=True)
class Obstacle:
    """Why an executor cannot do a task: the stable code of the reason, and a sentence."""

    code: str
    text: str


@dataclass(frozen=True)
class Decision:
    """What was chosen, if anything, and what was passed over on the way."""

    chosen: Candidate | None
    passed: Mapping[Choice, Obstacle] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The decision in a sentence or two."""
        passed = "; ".join(f"{choice}: {obstacle.text.rstrip('.')}" for choice, obstacle in self.passed.items())
        if self.chosen is None:
            return f"No executor can do this task. {passed}."
        told = f"{self.chosen.choice}, by {self.chosen.by}."
        return f"{told} Passed over: {passed}." if passed else told


def candidates(routing: Routing) -> tuple[Candidate, ...]:
    """Every choice in the order in which they are tried, each once: what the task names, those of the first rule that
    holds, the project's default.
    """
    found: dict[Choice, Candidate] = {}
    for candidate in _in_turn(routing):
        found.setdefault(candidate.choice, candidate)
    return tuple(found.values())


def _in_turn(routing: Routing) -> Iterator[Candidate]:
    if routing.executor is not None:
        yield Candidate(_with_model(routing, Choice(routing.executor)), "the task's own wish")
    for number, route in enumerate(routing.routes, start=1):
        if route.when.holds(routing.traits):
            by = f"rule {number} ({route.when.describe(routing.traits)})"
            yield from (Candidate(_with_model(routing, choice), by) for choice in route.choices)
            break
    yield Candidate(_with_model(routing, routing.default), "the project's default")


def _with_model(routing: Routing, choice: Choice) -> Choice:
    """The model that the task names, or else the choice's own, or else the default's when it is the same executor."""
    if choice.executor == ExecutorKind.COMMAND:
        return Choice(choice.executor)
    if routing.model is not None and routing.executor in (None, choice.executor):
        return replace(choice, model=routing.model)
    if choice.model is None and choice.executor == routing.default.executor:
        return routing.default
    return choice


def choose(
    order: Sequence[Candidate],
    obstacle: Callable[[Choice], Obstacle | None],
    *,
    failed_now: Mapping[Choice, Obstacle],
    failed_before: Collection[Choice] = (),
) -> Decision:
    """The first candidate that nothing stands in the way of.

    What failed by its own fault in this attempt is not tried again; what did so in an earlier attempt at the task is
    tried last.
    """
    passed: dict[Choice, Obstacle] = {}
    for again in (False, True):
        for candidate in order:
            choice = candidate.choice
            if choice in failed_now:
                passed[choice] = failed_now[choice]
            elif (choice in failed_before) is not again:
                if not again:
                    passed[choice] = Obstacle("failed_before", "it failed by its own fault in an earlier attempt")
            else:
                found = obstacle(choice)
                if found is None:
                    return Decision(candidate, {each: why for each, why in passed.items() if each != choice})
                passed[choice] = found
    return Decision(None, passed)
