"""HTTP of what a developer does with attempts: run again, send back, take over, hand back."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.executions.again import Again, RequestedAttempt, RunAgainInput, SendBackInput
from devteam.executions.artifact_routes import file_answer, sent
from devteam.executions.bundles import BUNDLE_LIMIT, History
from devteam.executions.compare import AttemptComparison, Comparisons
from devteam.executions.schemas import AttemptView
from devteam.executions.take_over import TakeOver
from devteam.kit.http import API, COMMANDS, READS, answer, entity_answer, problems, provided

router = APIRouter(prefix=API)
AgainDep = Annotated[Again, Depends(provided(Again))]
ComparisonsDep = Annotated[Comparisons, Depends(provided(Comparisons))]
TakeOverDep = Annotated[TakeOver, Depends(provided(TakeOver))]

BUNDLE = "application/octet-stream"
BUNDLE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A git bundle of one branch, {BUNDLE_LIMIT // 2**20} MiB at most.",
        "content": {BUNDLE: {"schema": {"type": "string", "contentMediaType": BUNDLE}}},
    }
}


async def _body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/attempts/{attempt_id}/run-again",
    tags=["attempts"],
    status_code=201,
    response_model=RequestedAttempt,
    responses=COMMANDS,
)
def run_attempt_again(attempt_id: UUID, wanted: RunAgainInput, command: CommandDep, again: AgainDep) -> Response:
    """Do the task again from a point of an attempt that did not succeed, as it was or with another executor, model or
    instructions. It goes to the head of the queue; both attempts are kept.
    """
    return command.run(lambda actor: answer(again.run_again(actor, attempt_id, wanted), status=201))


@router.post(
    "/attempts/{attempt_id}/send-back",
    tags=["attempts"],
    status_code=201,
    response_model=RequestedAttempt,
    responses=COMMANDS,
)
def send_attempt_back(attempt_id: UUID, wanted: SendBackInput, command: CommandDep, again: AgainDep) -> Response:
    """Say what is not right about a delivery on a branch, or about failed work: the next attempt goes on from it."""
    return command.run(lambda actor: answer(again.send_back(actor, attempt_id, wanted.remarks), status=201))


@router.get(
    "/attempts/{attempt_id}/compare/{other_id}",
    tags=["attempts"],
    response_model=AttemptComparison,
    responses=READS,
)
def compare_attempts(attempt_id: UUID, other_id: UUID, actor: ActorDep, comparisons: ComparisonsDep) -> Response:
    """Two attempts at one task side by side: what was asked for, what the gates found, cost, time and files."""
    return answer(comparisons.compare(actor, attempt_id, other_id))


@router.post("/attempts/{attempt_id}/take-over", tags=["attempts"], response_model=AttemptView, responses=COMMANDS)
def take_attempt_over(attempt_id: UUID, command: CommandDep, take_over: TakeOverDep) -> Response:
    """Hold the task for oneself. A running attempt is stopped, its work saved; fetch it when the outcome is there."""
    return command.run(lambda actor: entity_answer(take_over.take_over(actor, attempt_id)))


@router.get(
    "/attempts/{attempt_id}/bundle",
    tags=["attempts"],
    response_class=Response,
    responses={**problems(403, 404, 409), **file_answer(BUNDLE)},
)
def get_attempt_bundle(
    attempt_id: UUID,
    actor: ActorDep,
    take_over: TakeOverDep,
    history: Annotated[
        History, Query(description="`whole` can be cloned; `work` needs the base to be there.")
    ] = "work",
) -> Response:
    """An attempt's work as a git bundle."""
    with take_over.bundle(actor, attempt_id, history) as path:
        file = path.open("rb")
    return sent(file, BUNDLE, f"attempt-{attempt_id}.bundle")  # the file lives on while it is open


@router.post(
    "/attempts/{attempt_id}/hand-back",
    tags=["attempts"],
    status_code=201,
    response_model=RequestedAttempt,
    responses=COMMANDS,
    openapi_extra=BUNDLE_BODY,
)
def hand_attempt_back(
    attempt_id: UUID, bundle: Annotated[bytes, Depends(_body)], command: CommandDep, take_over: TakeOverDep
) -> Response:
    """Give one's commits to the engine, as a git bundle: the next attempt takes them through gates and delivery."""
    return command.run(lambda actor: answer(take_over.hand_back(actor, attempt_id, bundle), status=201))


@router.post("/attempts/{attempt_id}/release", tags=["attempts"], response_model=AttemptView, responses=COMMANDS)
def release_attempt(attempt_id: UUID, command: CommandDep, take_over: TakeOverDep) -> Response:
    """Give a task that was taken over back to the engine, without any work of one's own."""
    return command.run(lambda actor: entity_answer(take_over.release(actor, attempt_id)))
