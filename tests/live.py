"""A client of the live socket as tests use it: it applies frames and holds every one against the protocol."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import jsonschema_rs
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

Key = tuple[str, str]
Entities = dict[Key, dict[str, Any]]

SCHEMA = Path(__file__).parent.parent / "contracts" / "live-events.schema.json"
_frames = jsonschema_rs.validator_for(json.loads(SCHEMA.read_text()))


def apply_all(entities: Mapping[Key, Mapping[str, Any]], frames: Iterable[Mapping[str, Any]]) -> Entities:
    """The entities after the frames, as a page would hold them."""
    state = {key: dict(entity) for key, entity in entities.items()}
    for frame in frames:
        if frame["type"] == "snapshot":
            state = {(entity["kind"], entity["id"]): entity for entity in frame["entities"]}
        for change in frame.get("changes", ()):
            _apply(state, change)
    return state


def _apply(state: Entities, change: Mapping[str, Any]) -> None:
    key = (change["kind"], change["id"])
    before = state.get(key, {})
    assert change["version"] >= before.get("version", 0), "a version went back"
    if change.get("removed"):
        state.pop(key, None)
        return
    after = {
        **before,
        **change["set"],
        "kind": change["kind"],
        "id": change["id"],
        "version": change["version"],
    }
    state[key] = {name: value for name, value in after.items() if name not in change["unset"]}


@dataclass
class TopicState:
    """What a page knows of one topic."""

    epoch: str = ""
    seq: int = -1
    entities: Entities = field(default_factory=dict)
    frames: list[dict[str, Any]] = field(default_factory=list)

    def take(self, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        kind = frame["type"]
        if kind in ("delta", "event"):
            assert frame["epoch"] == self.epoch
            assert frame["prev"] == self.seq, f"a gap: {frame['prev']} after {self.seq}"
        if kind in ("snapshot", "delta", "event", "log"):
            assert kind == "snapshot" or frame["seq"] >= self.seq
            self.epoch, self.seq = frame["epoch"], frame["seq"]
        self.entities = apply_all(self.entities, [frame])

    def kinds(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    def events(self) -> list[dict[str, Any]]:
        return [frame["event"] for frame in self.frames if frame["type"] == "event"]


class LiveClient:
    """One connection. Use it as a context manager."""

    def __init__(self, address: str, session: str | None, *, origin: str | None = "", **options: Any) -> None:
        host = address.removeprefix("http://")
        headers = {} if session is None else {"Cookie": f"devteam_session={session}"}
        self._open = connect(
            f"ws://{host}/ws/devteam/updates",
            origin=f"http://{host}" if origin == "" else origin,  # type: ignore[arg-type]
            additional_headers=headers,
            max_size=None,
            compression=None,
            close_timeout=1,
            **options,
        )
        self.socket = self._open.__enter__()
        self.topics: dict[str, TopicState] = {}
        self.heartbeats: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._open.__exit__(None, None, None)

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def hello(self, resume: Mapping[str, TopicState] | None = None) -> None:
        """Say hello; topics in `resume` go on from their state."""
        for name, state in (resume or {}).items():
            self.topics[name] = TopicState(state.epoch, state.seq, dict(state.entities))
        positions = {name: {"epoch": state.epoch, "seq": state.seq} for name, state in (resume or {}).items()}
        self.send(type="hello", protocol=1, resume=positions)

    def subscribe(self, *topics: str) -> None:
        self.send(type="subscribe", topics=list(topics))

    def follow(self, topic: str) -> TopicState:
        """Subscribe and wait for the snapshot."""
        self.subscribe(topic)
        self.until(lambda: "snapshot" in self.topic(topic).kinds(), f"a snapshot of {topic}")
        return self.topic(topic)

    def topic(self, name: str) -> TopicState:
        return self.topics.setdefault(name, TopicState())

    def receive(self, seconds: float) -> bool:
        """Take one frame, if one comes in time."""
        try:
            text = self.socket.recv(timeout=max(0.0, seconds))
        except TimeoutError:
            return False
        frame = json.loads(text)
        error = next(_frames.iter_errors(frame), None)
        assert error is None, f"{frame['type']} breaks the contract: {error}"
        match frame["type"]:
            case "heartbeat":
                self.heartbeats.append(frame)
            case "error":
                self.errors.append(frame)
            case _:
                self.topic(frame["topic"]).take(frame)
        return True

    def until(self, condition: Callable[[], bool], what: str, *, seconds: float = 20.0) -> None:
        """Take frames until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"waited in vain for {what}"
            self.receive(min(left, 0.2))

    def close_code(self, *, seconds: float = 20.0) -> int:
        """Take frames until the server closes; its code."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                self.receive(0.2)
        except ConnectionClosed:
            code = self.socket.protocol.close_code
            assert code is not None
            return int(code)
        raise AssertionError("the server did not close")
