"""What goes over the socket: close codes, topics, the client's messages and the encoding of frames."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from devteam.kit.clock import isoformat

PROTOCOL = 1
MAX_MESSAGE_BYTES = 64 * 1024

Change = dict[str, Any]
"""One entity's change: kind, id, version, set, unset and, when it is gone, removed."""

Scope = frozenset[str] | None
"""Ids of the customers that a connection may see; None for all."""


class CloseCode(IntEnum):
    """Why the server ends a connection; the browser decides by it whether to come back."""

    BAD_MESSAGE = 4400
    NOT_SIGNED_IN = 4401
    WRONG_ORIGIN = 4403
    TOO_SLOW = 4408
    RESTART = 1012


class TopicKind(StrEnum):
    """What can be followed."""

    OVERVIEW = "overview"
    SYSTEM = "system"
    CUSTOMER = "customer"
    LOGS = "logs"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: its name on the wire, and the id of what it is about."""

    name: str
    kind: TopicKind
    id: UUID | None = None


def parse_topic(name: str) -> Topic | None:
    """The topic of a name in its one spelling; None when there is no such topic."""
    if name in (TopicKind.OVERVIEW, TopicKind.SYSTEM):
        return Topic(name, TopicKind(name))
    prefix, _, rest = name.partition(":")
    if prefix not in (TopicKind.CUSTOMER, TopicKind.LOGS) or len(rest) != 36:
        return None
    try:
        subject = UUID(rest)
    except ValueError:
        return None
    return Topic(name, TopicKind(prefix), subject) if str(subject) == rest else None


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Position(_Message):
    """How far a client has come on a topic."""

    epoch: str = Field(max_length=200)
    seq: int = Field(ge=0, le=2**62)


class Hello(_Message):
    """The first message; `resume` takes topics up again where an earlier connection ended."""

    type: Literal["hello"]
    protocol: Literal[1]
    resume: dict[str, Position] = Field(default={}, max_length=1000)


class Subscribe(_Message):
    """Follow topics; `offsets` says for logs from which character on."""

    type: Literal["subscribe"]
    topics: list[str] = Field(max_length=1000)
    offsets: dict[str, Annotated[int, Field(ge=0, le=2**62)]] = Field(default={}, max_length=1000)


class Unsubscribe(_Message):
    """Follow topics no longer."""

    type: Literal["unsubscribe"]
    topics: list[str] = Field(max_length=1000)


class Visibility(_Message):
    """The page's tab was hidden or shown; a hidden one gets updates every 5 s."""

    type: Literal["visibility"]
    hidden: bool


ClientMessage = Annotated[Hello | Subscribe | Unsubscribe | Visibility, Field(discriminator="type")]
client_messages: TypeAdapter[Hello | Subscribe | Unsubscribe | Visibility] = TypeAdapter(ClientMessage)


@dataclass(frozen=True, slots=True)
class Notable:
    """An event that must reach people as it is; `view` is its EventView."""

    customer_id: str
    view: Mapping[str, Any]


def dump(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all frames of one topic and one moment have in common."""

    topic: str
    epoch: str
    at: datetime

    def frame(self, kind: str, seq: int, **fields: Any) -> str:
        """A frame as sent."""
        return dump(self._head(kind, seq) | fields)

    def snapshot(self, seq: int, entities: Sequence[str]) -> str:
        """A whole state from entities that are encoded already."""
        return f'{dump(self._head("snapshot", seq))[:-1]},"entities":[{",".join(entities)}]}}'

    def deltas(self, prev: int, seq: int, changes: Sequence[Change], events: Sequence[Notable]) -> list[str]:
        """The changes in one frame, then each event in its own: an event never comes before the state it made."""
        return [
            self.frame("delta", seq, prev=prev, changes=changes),
            *(self.frame("event", seq, prev=seq, id=event.view["id"], event=event.view) for event in events),
        ]

    def _head(self, kind: str, seq: int) -> dict[str, Any]:
        return {
            "v": PROTOCOL,
            "type": kind,
            "topic": self.topic,
            "epoch": self.epoch,
            "seq": seq,
            "ts": isoformat(self.at),
        }


def reset_frame(topic: str, reason: str, at: datetime) -> str:
    """The client's state of a topic is void; a snapshot follows."""
    return dump({"v": PROTOCOL, "type": "reset", "topic": topic, "reason": reason, "ts": isoformat(at)})


def error_frame(topic: str | None, code: str, text: str, at: datetime) -> str:
    """A request that was refused. ASCII only: the topic's name is the client's text and may not be valid Unicode."""
    name = None if topic is None else topic[:80]
    return json.dumps(
        {"v": PROTOCOL, "type": "error", "topic": name, "code": code, "text": text, "ts": isoformat(at)},
        separators=(",", ":"),
    )


def heartbeat_frame(topics: Mapping[str, int], metrics: Mapping[str, Any], at: datetime) -> str:
    """A sign of life with the last seq sent on each topic."""
    return dump({"v": PROTOCOL, "type": "heartbeat", "topics": topics, "metrics": metrics, "ts": isoformat(at)})


def merge(older: Change, newer: Change) -> Change:
    """Two changes of one entity as one; values are absolute, so nothing is lost."""
    if newer.get("removed") or older.get("removed"):
        return newer
    newer_set, newer_unset = newer["set"], newer["unset"]
    return {
        "kind": newer["kind"],
        "id": newer["id"],
        "version": newer["version"],
        "set": {key: value for key, value in older["set"].items() if key not in newer_unset} | newer_set,
        "unset": [
            *(key for key in older["unset"] if key not in newer_set and key not in newer_unset),
            *newer_unset,
        ],
    }
