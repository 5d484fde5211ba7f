"""Record what a real agent and our client say to each other: `python -m tests.peers.record_session AGENT ...`.

Each agent (native, opencode, claude) does the job of two rounds in the fence, by a scripted model that tells the second
round what a gate found. The messages, the files that it changed, and the entries that our client made of them go to
`tests/peers/sessions/AGENT.jsonl`, with keys, places of this machine and addresses taken out.
"""

import json
import re
import socket
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from devteam.adapters.executors import acp_talk
from devteam.adapters.executors.acp_pipe import AgentPipe
from devteam.entrypoints.catalogue import agent_programs
from devteam.executions.session import ModelAccess
from tests.agents.jobs import FEEDBACK, SMALL, TwoRounds
from tests.integration.agent_world import AgentWorld, Round
from tests.peers.model_server import ModelServer
from tests.peers.scripted_agent import WORKSPACE

SESSIONS = Path(__file__).with_name("sessions")
PROMPTS = ("Mend the failing test.", f"{FEEDBACK}: the test still fails.")
KEY = "dt-the-key-of-this-attempt"
PROTOCOLS = {"native": "openai", "opencode": "openai", "claude": "anthropic"}
Json = dict[str, Any]

_SECRET = re.compile(r"\b(?:sk|dt)-[\w-]{8,}")
_TIME = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?")
_ADDRESS = re.compile(r"https?://[^\s\"'\\)]+")
_PLACE = re.compile(r"(?<![\w./])/(?:home|root|tmp|work|usr|opt|var|etc|srv)/[^\s\"'\\:,)]*")


def scrubbed(value: Any, workspace: Path) -> Any:
    """Without this machine, this day and this attempt's secrets."""
    text = json.dumps(value).replace(str(workspace), WORKSPACE)
    for pattern, put in ((_SECRET, "{key}"), (_TIME, "2026-01-01T00:00:00Z"), (_ADDRESS, "{url}"), (_PLACE, "{place}")):
        text = pattern.sub(put, text)
    return _without_prose(json.loads(text))


def _without_prose(value: Any, *, drop: bool = False) -> Any:
    """Without what an agent's makers wrote of its modes, settings and commands: none of it matters to a client."""
    if isinstance(value, list):
        return [_without_prose(item, drop=drop) for item in value]
    if not isinstance(value, dict):
        return value
    kept: Json = {}
    for key, item in value.items():
        if key == "availableCommands":
            kept[key] = []
        elif not (drop and key == "description"):
            kept[key] = _without_prose(item, drop=drop or key in ("modes", "models", "configOptions"))
    return kept


@contextmanager
def recorded_pipe(frames: list[Json]) -> Iterator[None]:
    """Every pipe to an agent writes down what passes."""

    class Recording(AgentPipe):
        async def send(self, message: Json) -> None:
            frames.append({"by": "client", "message": message})
            await super().send(message)

        async def receive(self) -> Json | None:
            message = await super().receive()
            if message is not None:
                frames.append({"by": "agent", "message": message})
            return message

    with mock.patch.object(acp_talk, "AgentPipe", Recording):
        yield


@contextmanager
def model_socket(folder: Path, port: int) -> Iterator[Path]:
    """A model server's port as a socket that can be let into the fence."""

    class Passer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=_copy, args=(server, self.request), daemon=True)
                back.start()
                _copy(self.request, server)
                back.join(10)

    path = folder / "model.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Passer) as listening:
        listening.daemon_threads = True
        path.chmod(0o666)
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield path
        listening.shutdown()
        thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def files_of(workspace: Path) -> dict[str, str]:
    """The texts of a workspace."""
    found = {}
    for file in sorted(workspace.rglob("*")):
        name = str(file.relative_to(workspace))
        if file.is_file() and not name.startswith(".") and "__pycache__" not in name:
            found[name] = file.read_text(encoding="utf-8")
    return found


def record(agent: str, folder: Path) -> list[Json]:
    """Both rounds, as the lines of a recording."""
    world = AgentWorld(folder)
    world.customer.commit(dict(SMALL.files))
    lines: list[Json] = []
    run: Round | None = None

    def tree() -> Path:
        assert run is not None
        return run.workspace

    with ModelServer(TwoRounds(agent, SMALL, "ls", tree)) as server, model_socket(folder, server.port) as model_path:
        model = ModelAccess(server.anthropic_url, KEY, str(model_path), "scripted", PROTOCOLS[agent])  # type: ignore[arg-type]
        for number, prompt in enumerate(PROMPTS, start=1):
            frames: list[Json] = []
            session = run.told.sessions[0] if run is not None else None
            with recorded_pipe(frames):
                prepared = world.prepared(agent) if run is None else (run.job, run.workspace)
                before = files_of(prepared[1])
                run = world.begin(*prepared, prompt=prompt, session_id=session, model=model, programs=agent_programs())
                end = run.end(240)
            assert end.end.succeeded, end.end.describe()
            lines += _lines(number, frames, before, files_of(run.workspace))
            lines += [{"round": number, "kind": kind, "entry": data} for kind, data in run.told.entries]
            lines = scrubbed(lines, run.workspace)
    return lines


def _lines(number: int, frames: list[Json], before: dict[str, str], after: dict[str, str]) -> Iterator[Json]:
    """The frames of a round, with what changed in front of the end of its turn."""
    changed: dict[str, str | None] = {name: text for name, text in after.items() if before.get(name) != text}
    changed |= {name: None for name in before if name not in after}
    prompts = {f["message"]["id"] for f in frames if f["message"].get("method") == "session/prompt"}
    for frame in frames:
        message = frame["message"]
        if frame["by"] == "agent" and message.get("id") in prompts and "result" in message and changed:
            yield {"round": number, "files": changed}
        yield {"round": number, **frame}


def main() -> None:
    """Record the agents that are named."""
    SESSIONS.mkdir(exist_ok=True)
    for agent in sys.argv[1:]:
        with tempfile.TemporaryDirectory(prefix="devteam-record-") as folder:
            lines = record(agent, Path(folder))
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (SESSIONS / f"{agent}.jsonl").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{agent}: {len(lines)} lines, {len(text)} bytes\n")


if __name__ == "__main__":
    main()
