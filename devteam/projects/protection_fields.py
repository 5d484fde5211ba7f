"""Protected paths and refused commands as they are sent."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from devteam.projects.gates import PathPattern
from devteam.projects.protection import as_expression


def _command(entry: str) -> str:
    try:
        as_expression(entry)
    except re.error as exc:
        raise ValueError(f"{entry} is no regular expression: {exc}") from exc
    return entry


RefusedCommand = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S"), AfterValidator(_command)]
"""First words of a command, or a regular expression between slashes."""

ProtectedPaths = Annotated[list[PathPattern], Field(max_length=500)]
RefusedCommands = Annotated[list[RefusedCommand], Field(max_length=500)]
