"""An agent that plays a recorded session again: standard library only, started inside the fence like any other.

`build` makes one executable file of this program, a recording and how to play it. What the client sends has to be what
it sent when the session was recorded, in the same order; the first thing that is not ends the agent with a sentence on
its standard error. Files that the recorded agent had changed are written when its turn ends.

A recording is JSON a line: `{"round", "by": "client" | "agent", "message"}` for every message, and before the end of a
turn `{"round", "files": {path: text}}`. Placeholders stand for this machine's places. How to play it: `crashAfter` ends
the agent with code 3 after so many messages of its own in that round, `anyPrompt` takes other prompts and tools than
the recorded ones, as `setMode` false does clients that set no mode.
"""

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

Json = dict[str, Any]
WORKSPACE = "{workspace}"
_OF_THE_ATTEMPT = ("prompt", "mcpServers")


def build(target: Path, recording: Path, **options: Any) -> Path:
    """An executable file that plays the recording."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__main__.py", Path(__file__).read_text(encoding="utf-8"))
        archive.writestr("recording.jsonl", recording.read_text(encoding="utf-8"))
        archive.writestr("options.json", json.dumps(options))
    target.write_bytes(f"#!{sys.executable}\n".encode() + packed.getvalue())
    target.chmod(0o755)
    return target


def fill(value: Any, workspace: str) -> Any:
    """With the placeholder's place."""
    return json.loads(json.dumps(value).replace(WORKSPACE, json.dumps(workspace)[1:-1]))


class Player:
    """Goes through the frames of one round."""

    def __init__(self, frames: list[Json], options: Json) -> None:
        self._all = frames
        self._options = options
        self._early: list[Json] = []
        self._ids: dict[Any, Any] = {}
        self._sent = 0

    def play(self) -> None:
        """Until the client says goodbye."""
        for frame in self._round():
            if "files" in frame:
                self._write(frame["files"])
            elif frame["by"] == "agent":
                self._say(frame["message"])
            elif not self._left_out(frame["message"]):
                self._hear(frame["message"])
        while sys.stdin.readline():
            pass

    def _round(self) -> list[Json]:
        """The frames of the round that the client begins: a later one loads the session of the one before."""
        while True:
            last = self._next()
            self._early.append(last)
            if last.get("method") != "initialize":
                break
            opening = next(f for f in self._all if f.get("by") == "agent" and "result" in f["message"])
            self._send({"jsonrpc": "2.0", "id": last["id"], "result": opening["message"]["result"]})
        self._early.pop(0)
        wanted = last["method"]
        number = next(f["round"] for f in self._all if f.get("by") == "client" and f["message"].get("method") == wanted)
        frames = [frame for frame in self._all if frame["round"] == number]
        return frames[2:]  # after the greeting, which both sides have exchanged

    def _left_out(self, message: Json) -> bool:
        """Settings that this client does not make; nor does it hear the answer."""
        if self._options.get("setMode", True) or message.get("method") != "session/set_mode":
            return False
        self._ids[message["id"]] = None
        return True

    def _say(self, message: Json) -> None:
        if "method" not in message:
            message = {**message, "id": self._ids[message["id"]]}
            if message["id"] is None:
                return
        self._send(fill(message, os.getcwd()))
        self._sent += 1
        if self._sent == self._options.get("crashAfter"):
            os._exit(3)

    def _send(self, message: Json) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def _hear(self, wanted: Json) -> None:
        """Wait for what was recorded; what comes before it waits for its own turn."""
        keys = ("method",) if "method" in wanted else ("method", "id")

        def fits(message: Json) -> bool:
            return all(message.get(key) == wanted.get(key) for key in keys)

        while not any(map(fits, self._early)):
            self._early.append(self._next())
        message = next(filter(fits, self._early))
        self._early.remove(message)
        if "method" in wanted and "id" in wanted:
            self._ids[wanted["id"]] = message["id"]
        self._compare(fill(wanted, os.getcwd()), message)

    def _compare(self, wanted: Json, message: Json) -> None:
        for key in ("params", "result", "error"):
            ours, theirs = wanted.get(key), message.get(key)
            if self._options.get("anyPrompt") and isinstance(ours, dict) and isinstance(theirs, dict):
                ours, theirs = ({k: v for k, v in each.items() if k not in _OF_THE_ATTEMPT} for each in (ours, theirs))
            if ours != theirs:
                sys.stderr.write(f"recorded: {json.dumps(wanted)[:1000]}\nheard: {json.dumps(message)[:1000]}\n")
                os._exit(70)

    def _next(self) -> Json:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        message: Json = json.loads(line)
        return message

    def _write(self, files: dict[str, str | None]) -> None:
        for name, text in files.items():
            if text is None:
                os.unlink(name)
                continue
            os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)


def main() -> None:
    """Play what this file holds."""
    with zipfile.ZipFile(sys.argv[0]) as archive:
        lines = archive.read("recording.jsonl").decode("utf-8").splitlines()
        options = json.loads(archive.read("options.json"))
    Player([frame for frame in map(json.loads, lines) if "by" in frame or "files" in frame], options).play()


if __name__ == "__main__":
    main()
