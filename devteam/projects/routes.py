"""HTTP of projects."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from devteam.access.signed_in import ActorDep, CommandDep
from devteam.kit.http import API, COMMANDS, EDITS, READS, IfMatch, answer, entity_answer, problems, provided
from devteam.projects.proposals import GateProposalList, GateProposer, RepositoryInput
from devteam.projects.schemas import ProjectInput, ProjectPatch, ProjectView
from devteam.projects.service import ProjectService

router = APIRouter(prefix=API, tags=["projects"])
ProposerDep = Annotated[GateProposer, Depends(provided(GateProposer))]
ProjectsDep = Annotated[ProjectService, Depends(provided(ProjectService))]


@router.post("/customers/{customer_id}/projects", status_code=201, response_model=ProjectView, responses=COMMANDS)
def create_project(customer_id: UUID, wanted: ProjectInput, command: CommandDep, projects: ProjectsDep) -> Response:
    """Link a git repository; it is looked at first."""
    return command.run(lambda actor: entity_answer(projects.create(actor, customer_id, wanted), status=201))


@router.get("/projects/{project_id}", response_model=ProjectView, responses=READS)
def get_project(project_id: UUID, actor: ActorDep, projects: ProjectsDep) -> Response:
    """One project."""
    return entity_answer(projects.get(actor, project_id))


@router.patch("/projects/{project_id}", response_model=ProjectView, responses=EDITS)
def edit_project(
    project_id: UUID, patch: ProjectPatch, if_match: IfMatch, actor: ActorDep, projects: ProjectsDep
) -> Response:
    """Change a project's settings."""
    return entity_answer(projects.edit(actor, project_id, patch, if_version=if_match))


@router.post("/gate-proposals", response_model=GateProposalList, responses=problems(403, 413))
def propose_gates(wanted: RepositoryInput, actor: ActorDep, proposer: ProposerDep) -> Response:
    """Look into a repository and propose gates; nothing is changed."""
    return answer(proposer.propose(actor, wanted))
