"""What an agent may do without asking a person: everything inside its fence, nothing in git's own folders."""

from collections.abc import Mapping
from typing import Any

_GIT = ".git"


def allows_inside(tool_call: Mapping[str, Any]) -> bool:
    """Whether a tool call may go on. The fence bounds what it can reach; this keeps git's own files out of it."""
    places = [location.get("path", "") for location in tool_call.get("locations") or [] if isinstance(location, dict)]
    return not any(_GIT in str(place).split("/") for place in places)
