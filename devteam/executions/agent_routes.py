"""HTTP of agents: sessions of attempts, guidance, executors."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.executions.agents import Agents, CallList, ExecutorList, GuidanceInput, GuidanceView, SessionPage
from devteam.kit.http import API, COMMANDS, READS, answer, problems, provided

router = APIRouter(prefix=API)
AgentsDep = Annotated[Agents, Depends(provided(Agents))]


@router.get("/attempts/{attempt_id}/session", tags=["attempts"], response_model=SessionPage, responses=READS)
def get_attempt_session(
    attempt_id: UUID,
    actor: ActorDep,
    agents: AgentsDep,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """What an agent said and did: entries after an ordinal."""
    return answer(agents.session(actor, attempt_id, after=after, limit=limit))


@router.get("/attempts/{attempt_id}/calls", tags=["attempts"], response_model=CallList, responses=READS)
def list_attempt_calls(attempt_id: UUID, actor: ActorDep, agents: AgentsDep) -> Response:
    """What an attempt's model calls used, one by one."""
    return answer(agents.calls(actor, attempt_id))


@router.post(
    "/attempts/{attempt_id}/guidance",
    tags=["attempts"],
    status_code=201,
    response_model=GuidanceView,
    responses=COMMANDS,
)
def guide_attempt(attempt_id: UUID, wanted: GuidanceInput, command: CommandDep, agents: AgentsDep) -> Response:
    """Add guidance for the agent that works on an attempt; it hears it at its next step, or in a new turn."""
    return command.run(lambda actor: answer(agents.guide(actor, attempt_id, wanted.text), status=201))


@router.get("/executors", tags=["system"], response_model=ExecutorList, responses=problems())
def list_executors(actor: ActorDep, agents: AgentsDep) -> Response:
    """What can do the work of tasks, whether it is installed here, and what was measured of it."""
    return answer(agents.executors(actor))
