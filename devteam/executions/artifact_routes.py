"""HTTP of artifacts: what an attempt left, one by one and as an archive."""

from collections.abc import Iterator
from typing import IO, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import StreamingResponse

from devteam.access.signed_in import ActorDep
from devteam.executions.artifacts import MEDIA_TYPES, ArtifactList, Artifacts
from devteam.kit.http import API, READS, answer, provided

router = APIRouter(prefix=API)
ArtifactsDep = Annotated[Artifacts, Depends(provided(Artifacts))]
ArtifactName = Annotated[str, Path(max_length=80)]

_CHUNK = 256 * 1024


def file_answer(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of an answer that is a file."""
    return {200: {"description": "The file.", "content": {each: {"schema": {}} for each in media_types}}}


def sent(file: IO[bytes], media_type: str, filename: str) -> StreamingResponse:
    """A file that is read from here to its end, and closed then."""
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingResponse(_chunks(file), media_type=media_type, headers=headers)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk


@router.get("/attempts/{attempt_id}/artifacts", tags=["attempts"], response_model=ArtifactList, responses=READS)
def list_artifacts(attempt_id: UUID, actor: ActorDep, artifacts: ArtifactsDep) -> Response:
    """What an attempt left: diff, output, session, prompts, plan, gates and a manifest, with their checksums."""
    return answer(artifacts.all(actor, attempt_id))


@router.get(
    "/attempts/{attempt_id}/artifacts.zip",
    tags=["attempts"],
    response_class=Response,
    responses={**READS, **file_answer("application/zip")},
)
def get_artifacts_archive(attempt_id: UUID, actor: ActorDep, artifacts: ArtifactsDep) -> Response:
    """All artifacts of an attempt and their SHA256SUMS as one archive."""
    return sent(artifacts.archive(actor, attempt_id), "application/zip", f"attempt-{attempt_id}.zip")


@router.get(
    "/attempts/{attempt_id}/artifacts/{name}",
    tags=["attempts"],
    response_class=Response,
    responses={**READS, **file_answer(*MEDIA_TYPES)},
)
def get_artifact(attempt_id: UUID, name: ArtifactName, actor: ActorDep, artifacts: ArtifactsDep) -> Response:
    """One artifact of an attempt. The ETag is its checksum."""
    file = artifacts.one(actor, attempt_id, name)
    headers = {"ETag": f'"{file.sha256}"', "Content-Disposition": f'attachment; filename="{file.name}"'}
    return Response(file.content, media_type=file.media_type, headers=headers)
