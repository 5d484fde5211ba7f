"""Sessions on disk, so that another process can go on with them: one log of JSON lines each."""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from devteam.agent.messages import Message, PlanStep, Transcript, from_json, to_json

KEPT_SECONDS = 30 * 24 * 3600
_ID = re.compile(r"[0-9a-f]{32}")
_INTERRUPTED = "The agent was stopped during this call; whether it took effect is not known."

Json = dict[str, Any]


@dataclass
class Saved:
    """A session as it was left; `updates` are what the client was told, for showing it again."""

    transcript: Transcript = field(default_factory=Transcript)
    mode: str | None = None
    updates: list[Json] = field(default_factory=list)


def state_folder(environment: Mapping[str, str]) -> Path:
    """Where sessions are kept."""
    given = environment.get("DEVTEAM_AGENT_STATE")
    return Path(given) if given else Path.home() / ".devteam-agent" / "sessions"


class SessionStore:
    """A folder of sessions. Without a folder to write to the agent works all the same and remembers nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.works = os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            self.works = False

    def new(self) -> "SessionLog":
        """An empty session; logs untouched for a month are removed on the way."""
        self._prune()
        number = uuid4().hex
        return SessionLog(number, self._path(number) if self.works else None)

    def open(self, number: str) -> "tuple[SessionLog, Saved] | None":
        """A session by its id; None when there is none."""
        if not _ID.fullmatch(number) or not self._path(number).is_file():
            return None
        path = self._path(number)
        return SessionLog(number, path), _read(path)

    def _path(self, number: str) -> Path:
        return self._folder / f"{number}.json"

    def _prune(self) -> None:
        for path in self._folder.glob("*.json") if self.works else ():
            try:
                if _ID.fullmatch(path.stem) and time.time() - path.stat().st_mtime > KEPT_SECONDS:
                    path.unlink()
            except OSError:
                continue


class SessionLog:
    """Appends what happens. A line is written at once, so that a killed agent loses nothing but the line it was at."""

    def __init__(self, number: str, path: Path | None) -> None:
        self.id = number
        self._path = path

    def message(self, message: Message) -> None:
        """Something was said."""
        self._append({"message": to_json(message)})

    def reset(self, messages: list[Message]) -> None:
        """The conversation was cut to these."""
        self._append({"reset": [to_json(message) for message in messages]})

    def plan(self, steps: list[PlanStep]) -> None:
        """The plan is now this."""
        self._append({"plan": [[step.text, step.status] for step in steps]})

    def mode(self, mode: str) -> None:
        """The session works in this mode from now on."""
        self._append({"mode": mode})

    def update(self, update: Json) -> None:
        """The client was told this."""
        self._append({"update": update})

    def _append(self, record: Json) -> None:
        if self._path is None:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self._path, flags, 0o600), "ab") as file:
                file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
        except OSError:
            self._path = None  # a full disk must not stop the work; the session cannot be loaded beyond this


def _read(path: Path) -> Saved:
    saved = Saved()
    for line in path.read_bytes().split(b"\n"):
        try:
            _fold(saved, json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue  # the line at which a process was killed
    saved.transcript.close_open_calls(_INTERRUPTED)
    return saved


def _fold(saved: Saved, record: Json) -> None:
    match record:
        case {"message": data}:
            saved.transcript.messages.append(from_json(data))
        case {"reset": messages}:
            saved.transcript.messages = [from_json(data) for data in messages]
        case {"plan": steps}:
            saved.transcript.plan = [PlanStep(text, status) for text, status in steps]
        case {"mode": str(mode)}:
            saved.mode = mode
        case {"update": update}:
            saved.updates.append(update)
