"""What an agent can ask of DevTeam, and nothing else: no approval, no injection, no other customer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from devteam.executions.session import Desk, Finding, PlanStep, Review, ReviewDesk

D = TypeVar("D")
_Text = Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"\S")]


class Arguments(BaseModel):
    """What a tool takes; unknown names are refused, so that a slip is seen."""

    model_config = ConfigDict(extra="forbid")


class ReadTask(Arguments):
    """Nothing."""


class Step(Arguments):
    """One step of a plan."""

    content: Annotated[str, Field(min_length=1, max_length=500)]
    status: Literal["pending", "in_progress", "completed"] = "pending"


class ReportProgress(Arguments):
    """Where the work stands."""

    message: _Text
    plan: Annotated[list[Step], Field(max_length=50, description="The whole plan as it is now.")] = []


class AskProjectManager(Arguments):
    """A question."""

    question: _Text
    wait: Annotated[
        bool,
        Field(description="True: the answer is this call's result. False: go on; the answer comes as a message."),
    ] = True


class ReportBlocked(Arguments):
    """Why the task cannot be done."""

    reason: _Text


class ProposeTask(Arguments):
    """A task that ought to be done as well, but is not part of this one."""

    title: Annotated[str, Field(min_length=1, max_length=300, pattern=r"\S")]
    description: _Text
    reason: Annotated[str, Field(max_length=4_000, description="Why it matters.")] = ""


class FindingArguments(Arguments):
    """What is wrong at a place of the change."""

    path: Annotated[str, Field(min_length=1, max_length=1_000)]
    line: Annotated[int | None, Field(ge=1)] = None
    severity: Literal["must", "should"]
    text: _Text


class SubmitReview(Arguments):
    """The verdict on the change."""

    verdict: Literal["accept", "reject"]
    summary: _Text
    findings: Annotated[list[FindingArguments], Field(max_length=50)] = []


@dataclass(frozen=True)
class AgentTool(Generic[D]):
    """A tool: what it is for, what it takes, and what it does at the desk. `run` may block."""

    description: str
    arguments: type[Arguments]
    run: Callable[[D, Any], str]
    read_only: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return self.arguments.model_json_schema()


def _propose(desk: Desk, given: ProposeTask) -> str:
    desk.propose(given.title, given.description, given.reason)
    return "The proposal waits for the project manager. Do not do it as part of this task."


def _progress(desk: Desk, given: ReportProgress) -> str:
    desk.report_progress(given.message, [PlanStep(step.content, step.status) for step in given.plan])
    return "Noted."


def _blocked(desk: Desk, given: ReportBlocked) -> str:
    desk.report_blocked(given.reason)
    return "Noted. End your turn now; a person takes over from here."


def _submit(desk: ReviewDesk, given: SubmitReview) -> str:
    findings = [Finding(each.path, each.line, each.severity == "must", each.text) for each in given.findings]
    desk.submit(Review(given.verdict == "accept", given.summary, findings))
    return "Noted. End your turn."


TOOLS: Mapping[str, AgentTool[Desk]] = {
    "read_task": AgentTool(
        "The task that you work on: its text, what counts as done, the checks, and what is known of earlier rounds.",
        ReadTask,
        lambda desk, _: json.dumps(desk.read_task(), ensure_ascii=False, indent=2),
        read_only=True,
    ),
    "report_progress": AgentTool("Tell the project manager where you are, and your plan.", ReportProgress, _progress),
    "ask_project_manager": AgentTool(
        "Ask the project manager what only a person can decide. Look into the repository first.",
        AskProjectManager,
        lambda desk, given: desk.ask(given.question, wait=given.wait),
    ),
    "report_blocked": AgentTool(
        "Say that the task cannot be done as it stands, and why. Then end your turn.", ReportBlocked, _blocked
    ),
    "propose_task": AgentTool(
        "Propose a follow-up task for what you noticed but were not asked to do.", ProposeTask, _propose
    ),
}

REVIEW_TOOLS: Mapping[str, AgentTool[ReviewDesk]] = {
    "read_task": AgentTool(
        "The task whose change you review: its text, what counts as done, and the checks that hold already.",
        ReadTask,
        lambda desk, _: json.dumps(desk.read_task(), ensure_ascii=False, indent=2),
        read_only=True,
    ),
    "submit_review": AgentTool(
        "Give your verdict on the change, once. Reject only for findings that must be mended.", SubmitReview, _submit
    ),
}
