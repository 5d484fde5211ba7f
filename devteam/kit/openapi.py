"""The OpenAPI 3.1 description, adjusted to what the handlers really answer."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from pydantic.json_schema import models_json_schema

from devteam.kit.problems import FieldProblem, Problem
from devteam.kit.wire import View

_REF = "#/components/schemas/{model}"


def operation_id(route: APIRoute) -> str:
    """The handler's name in camelCase: what generated clients call the operation."""
    return to_camel(route.name)


def describe(app: FastAPI) -> dict[str, Any]:
    """The description, made once per application."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            separate_input_output_schemas=False,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        _, problems = models_json_schema(
            [(Problem, "serialization"), (FieldProblem, "serialization")], ref_template=_REF
        )
        _require_shown_fields(schemas)
        schemas.update(problems["$defs"])
        app.openapi_schema = document
    return app.openapi_schema


def _require_shown_fields(schemas: dict[str, Any]) -> None:
    """What is shown always has all its fields, those with a constant default too."""
    for view in _subclasses(View):
        schema = schemas.get(view.__name__)
        if schema is not None and "properties" in schema:
            schema["required"] = list(schema["properties"])


def _subclasses(kind: type[View]) -> Iterator[type[View]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
