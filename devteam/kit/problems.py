"""Problem details (RFC 9457): the one shape of every refusal and failure that leaves over HTTP."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from devteam.kit.errors import DevTeamError, FieldError
from devteam.kit.invalid_input import field_errors
from devteam.kit.log import get_logger
from devteam.kit.wire import View

log = get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2


class FieldProblem(View):
    """What is wrong with one field; `field` is its path in camelCase, such as `gates.0.argv`."""

    field: str
    message: str


class Problem(View):
    """Why a request was refused or failed. `code` is stable, `detail` is a sentence for a person."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldProblem] | None = None
    correlation_id: str | None = None
    version: int | None = None


def problem_response(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response."""
    problem = Problem(
        type=f"urn:devteam:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=[FieldProblem(field=error.field, message=error.message) for error in errors] or None,
        **(extra or {}),
    )
    body = problem.model_dump_json(by_alias=True, exclude_none=True)
    return Response(body, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def unexpected(error: BaseException, *, method: str, path: str) -> Response:
    """An error that nobody foresaw: logged with an id that the caller gets too; no internals leave."""
    correlation_id = uuid4().hex
    log.error("request_failed", correlation_id=correlation_id, method=method, path=path, exc_info=error)
    return problem_response(
        500,
        "internal_error",
        f"Something went wrong inside DevTeam. The log has the details under {correlation_id}.",
        extra={"correlation_id": correlation_id},
    )


def install(app: FastAPI) -> None:
    """Let the app answer every error with a problem."""
    app.add_exception_handler(DevTeamError, _devteam_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    for kind in (DBAPIError, PoolTimeout, psycopg.OperationalError):
        app.add_exception_handler(kind, _database_error)


def _devteam_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, DevTeamError)
    if error.status >= 500:
        correlation_id = uuid4().hex
        log.error("request_failed", correlation_id=correlation_id, code=error.code, exc_info=error)
        return problem_response(error.status, error.code, error.message, extra={"correlation_id": correlation_id})
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else None
    extra = {key: value for key, value in error.extra.items() if key == "version"}
    return problem_response(error.status, error.code, error.message, errors=error.errors, extra=extra, headers=headers)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = field_errors(error.errors(), error.body)
    first = errors[0]
    detail = f"{first.field}: {first.message}" if first.field else first.message
    return problem_response(422, "invalid", detail, errors=errors)


_HTTP_PROBLEMS = {
    400: ("bad_request", "The request could not be understood."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
}


def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, detail = _HTTP_PROBLEMS.get(error.status_code, ("http_error", HTTPStatus(error.status_code).phrase))
    return problem_response(error.status_code, code, detail, headers=error.headers)


_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.QueryCanceled,
)


def _database_error(request: Request, error: Exception) -> Response:
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, _BUSY):
        return _try_again("busy", "Somebody else is changing the same thing; try again.")
    if isinstance(error, DataError):
        log.warning("value_not_storable", path=request.url.path, error=type(cause).__name__)
        return problem_response(422, "invalid", "The input holds a value that cannot be stored.")
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if lost or isinstance(error, OperationalError | InterfaceError | PoolTimeout | psycopg.OperationalError):
        log.warning("database_unavailable", path=request.url.path, error=type(cause).__name__)
        return _try_again("database_unavailable", "The database cannot be reached right now; try again shortly.")
    return unexpected(error, method=request.method, path=request.url.path)


def _try_again(code: str, detail: str) -> Response:
    return problem_response(503, code, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
