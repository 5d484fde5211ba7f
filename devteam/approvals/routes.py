"""HTTP of approvals."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.approvals.model import ApprovalStatus
from devteam.approvals.schemas import AnswerInput, ApprovalPage, ApprovalView
from devteam.approvals.service import ApprovalService
from devteam.kit.http import API, COMMANDS, READS, answer, entity_answer, provided

router = APIRouter(prefix=API, tags=["approvals"])
ApprovalsDep = Annotated[ApprovalService, Depends(provided(ApprovalService))]


@router.get("/approvals", response_model=ApprovalPage, responses=READS)
def list_approvals(
    actor: ActorDep,
    approvals: ApprovalsDep,
    status: Annotated[list[ApprovalStatus], Query(max_length=20)] = [],  # noqa: B006 - read only
    customer_id: Annotated[UUID | None, Query(alias="customerId")] = None,
    cursor: Annotated[str | None, Query(max_length=400)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Questions that wait or waited for a person, newest first."""
    return answer(approvals.page(actor, status=status, customer_id=customer_id, cursor=cursor, limit=limit))


@router.get("/approvals/{approval_id}", response_model=ApprovalView, responses=READS)
def get_approval(approval_id: UUID, actor: ActorDep, approvals: ApprovalsDep) -> Response:
    """One question."""
    return entity_answer(approvals.get(actor, approval_id))


@router.post("/approvals/{approval_id}/answer", response_model=ApprovalView, responses=COMMANDS)
def answer_approval(approval_id: UUID, wanted: AnswerInput, command: CommandDep, approvals: ApprovalsDep) -> Response:
    """Say yes or no; who asked goes on at once. The same answer again changes nothing."""
    return command.run(lambda actor: entity_answer(approvals.answer(actor, approval_id, wanted)))
