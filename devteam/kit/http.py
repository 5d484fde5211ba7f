"""What thin handlers share: services by type, answers with entity tags, conditional edits, documented problems."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Header, Request, Response

from devteam.kit.errors import Stale
from devteam.kit.problems import MEDIA_TYPE
from devteam.kit.wire import View

API = "/api/devteam"
T = TypeVar("T")


def provided(kind: type[T]) -> Callable[[Request], Any]:
    """A dependency: the application's one object of that type, as wired by the entry point."""

    async def find(request: Request) -> T:
        found: T = request.app.state.provided[kind]
        return found

    return find


class Entity(Protocol):
    """A thing whose every change raises its version."""

    @property
    def version(self) -> int:
        """Which state of the thing this is."""
        ...

    def model_dump_json(self, *, by_alias: bool) -> str:
        """The thing as JSON."""
        ...


def answer(view: View, *, status: int = 200, version: int | None = None) -> Response:
    """A view as JSON. `version` is that of the one thing it shows, if it does, and becomes the ETag."""
    headers = {"ETag": f'"{version}"'} if version is not None else None
    body = view.model_dump_json(by_alias=True)
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def entity_answer(entity: Entity, *, status: int = 200) -> Response:
    """A thing itself as JSON, its version as the ETag."""
    headers = {"ETag": f'"{entity.version}"'}
    body = entity.model_dump_json(by_alias=True)
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def json_answer(request: Request, position: bytes, content: bytes) -> Response:
    """JSON that is ready to send, in two parts; 304 when the caller has the content already.

    The first part says where a stream stands, which moves on without news; so the tag is that of the content, and weak.
    """
    tag = f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    if tag in [part.strip() for part in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(position + content, media_type="application/json", headers={"ETag": tag})


def _if_match(
    if_match: Annotated[
        str | None, Header(description="The ETag of the version that the edit is based on.", max_length=200)
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = re.fullmatch(r'(?:W/)?"([0-9]{1,18})"', if_match.strip())
    if found is None:
        raise Stale("The If-Match header names no version of this thing.")
    return int(found[1])


IfMatch = Annotated[int | None, Depends(_if_match)]


_DESCRIPTIONS: Mapping[int, str] = {
    400: "The request could not be understood.",
    401: "Nobody is signed in.",
    403: "The caller's role does not allow it, or the request came from a foreign page.",
    404: "No such thing, or not in the caller's scope.",
    409: "The thing's present state does not allow it.",
    412: "Somebody changed the thing in the meantime.",
    413: "The request is too large.",
    422: "The input is wrong; `errors` names the fields.",
    503: "The database cannot be reached; try again after `Retry-After` seconds.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problems that an operation may answer, besides those that every one may."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _DESCRIPTIONS[status], "content": content}
        for status in sorted({*statuses, 401, 422, 503})
    }


READS = problems(404)
COMMANDS = problems(400, 403, 404, 409, 413)
EDITS = problems(400, 403, 404, 409, 412, 413)
