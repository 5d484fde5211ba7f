"""The frames of the live protocol as a JSON schema, for everybody who reads them.

`python -m devteam.live.contract` writes it to `contracts/live-events.schema.json`; a test holds it current, and holds
what the server really sends against it.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from devteam.approvals.schemas import ApprovalView
from devteam.customers.schemas import CustomerCard
from devteam.events.schemas import EventView
from devteam.executions.schemas import AttemptView, ExecutionView, SystemTotals
from devteam.incidents.schemas import IncidentView
from devteam.kit.wire import UtcTime
from devteam.live.wire import CloseCode, Hello, Subscribe, Unsubscribe, Visibility
from devteam.projects.schemas import ProjectView
from devteam.tasks.schemas import TaskView
from devteam.workers.schemas import WorkerView

PATH = Path("contracts/live-events.schema.json")

Entity = Annotated[
    CustomerCard
    | ProjectView
    | TaskView
    | ExecutionView
    | AttemptView
    | ApprovalView
    | IncidentView
    | WorkerView
    | SystemTotals,
    Field(discriminator="kind"),
]
Kind = Literal["customer", "project", "task", "execution", "attempt", "approval", "incident", "worker", "system"]


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid")

    v: Literal[1]
    ts: UtcTime = Field(description="When the server made the frame.")


class _TopicFrame(_Frame):
    topic: str
    epoch: str = Field(description="A seq means something only inside its epoch.")
    seq: int = Field(description="The topic's last version that this frame covers.")


class _NextFrame(_TopicFrame):
    prev: int = Field(description="The seq of the frame sent before on this topic and connection.")


class EntityChange(BaseModel):
    """Absolute values of the fields of one entity; merging changes loses nothing."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    id: str
    version: int
    set: dict[str, Any]
    unset: list[str]
    removed: Literal[True] | None = Field(
        default=None, description="The entity is gone from the topic; absent otherwise."
    )


class SnapshotFrame(_TopicFrame):
    """The topic's whole state."""

    type: Literal["snapshot"]
    entities: list[Entity]


class DeltaFrame(_NextFrame):
    """What changed since `prev`. An entity that is new arrives with all its fields."""

    type: Literal["delta"]
    changes: list[EntityChange]


class EventFrame(_NextFrame):
    """Something people must learn of. It may come again after a reconnect: tell it by its id."""

    type: Literal["event"]
    id: str
    event: EventView


class LogFrame(_TopicFrame):
    """Output of an attempt from `offset` on, in characters; its seq is `nextOffset`."""

    type: Literal["log"]
    offset: int
    next_offset: int = Field(alias="nextOffset")
    text: str
    complete: bool = Field(description="The attempt has ended and this is the end of its output.")


class LogGapFrame(_TopicFrame):
    """Earlier output is left out: it goes on at `offset`. The whole output is read over HTTP."""

    type: Literal["log_gap"]
    offset: int


class HeartbeatFrame(_Frame):
    """Every 5 s: the last seq sent on each topic, and what is computed on a timer."""

    type: Literal["heartbeat"]
    topics: dict[str, int]
    metrics: dict[str, Any]


class ResetFrame(_Frame):
    """The client's state of the topic is void; a snapshot follows."""

    type: Literal["reset"]
    topic: str
    reason: Literal["gap", "too_old", "too_slow", "restarted", "grants_changed"]


class ErrorFrame(_Frame):
    """Something the client asked for is not done; `unavailable` alone passes by itself."""

    type: Literal["error"]
    topic: str | None
    code: Literal["unknown_topic", "too_many_topics", "not_found", "unavailable"]
    text: str


SERVER = (
    SnapshotFrame,
    DeltaFrame,
    EventFrame,
    LogFrame,
    LogGapFrame,
    HeartbeatFrame,
    ResetFrame,
    ErrorFrame,
)
CLIENT = (Hello, Subscribe, Unsubscribe, Visibility)


def schema() -> dict[str, Any]:
    """A document whose root accepts every server frame; client messages and close codes are definitions beside."""
    models: list[tuple[type[BaseModel], Literal["serialization", "validation"]]] = [
        *((model, "serialization") for model in SERVER),
        *((model, "validation") for model in CLIENT),
    ]
    names, document = models_json_schema(models, title="Live updates", ref_template="#/$defs/{model}")
    definitions = document["$defs"]
    definitions["ClientMessage"] = {"oneOf": [names[(model, "validation")] for model in CLIENT]}
    definitions["CloseCode"] = {
        "enum": [int(code) for code in CloseCode],
        "x-enum-varnames": [code.name.lower() for code in CloseCode],
    }
    return {
        "title": "Live updates: what the server sends",
        "oneOf": [names[(model, "serialization")] for model in SERVER],
        "$defs": dict(sorted(definitions.items())),
    }


def rendered() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    PATH.write_text(rendered())
    sys.stdout.write(f"{PATH}\n")
