"""Agents that misbehave: `acp_agent.py BEHAVIOUR` speaks the Agent Client Protocol by hand, standard library only."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
MARK = "acp-agent-grandchild"


class Wire:
    """Lines to and from the client."""

    def __init__(self) -> None:
        self.number = 0
        self.cancelled = threading.Event()
        self.waiting: list[Json] = []
        self.loads = self.steers = False
        self.version = 1
        self.prompts: list[str] = []
        self.session = "one"

    def send(self, message: Json) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()

    def receive(self) -> Json:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        message: Json = json.loads(line)
        return message

    def next_request(self) -> Json:
        return self.waiting.pop(0) if self.waiting else self.receive()

    def ask(self, method: str, params: Json) -> Json:
        """A request to the client; what else comes meanwhile waits."""
        self.number += 1
        self.send({"id": self.number, "method": method, "params": {"sessionId": self.session, **params}})
        while True:
            message = self.receive()
            if message.get("id") == self.number and "method" not in message:
                return message
            self.waiting.append(message)

    def update(self, kind: str, **fields: Any) -> None:
        self.send(
            {
                "method": "session/update",
                "params": {"sessionId": self.session, "update": {"sessionUpdate": kind, **fields}},
            }
        )

    def say(self, text: str) -> None:
        self.update("agent_message_chunk", content={"type": "text", "text": text})

    def may(self, title: str = "Run it", **call: Any) -> Json:
        options = [
            {"optionId": "y", "name": "Yes", "kind": "allow_once"},
            {"optionId": "n", "name": "No", "kind": "reject_once"},
        ]
        call = {"toolCallId": "c", "title": title, **call}
        answer = self.ask("session/request_permission", {"toolCall": call, "options": options})
        outcome: Json = answer["result"]["outcome"]
        return outcome

    def handshake(self) -> None:
        """Answer until the first prompt is there."""
        while True:
            message = self.next_request()
            match message.get("method"):
                case "initialize":
                    capabilities = {"loadSession": self.loads, "_meta": {"devteam": {"steer": self.steers}}}
                    result = {"protocolVersion": self.version, "agentCapabilities": capabilities}
                    self.send({"id": message["id"], "result": result})
                case "session/new":
                    self.send({"id": message["id"], "result": {"sessionId": self.session}})
                case "session/load":
                    for number in range(200):
                        self.say(f"replayed {number} ")
                    self.send({"id": message["id"], "result": {}})
                case "session/prompt":
                    self.prompts.append(message["params"]["prompt"][0]["text"])
                    self.prompt_id = message["id"]
                    return
                case _ if "id" in message:
                    self.send({"id": message["id"], "error": {"code": -32601, "message": "no such method"}})

    def end(self, stop: str = "end_turn") -> None:
        self.send({"id": self.prompt_id, "result": {"stopReason": stop}})

    def fail(self, **error: Any) -> None:
        self.send({"id": self.prompt_id, "error": error})

    def leave(self) -> None:
        while sys.stdin.readline():
            pass


def nothing(wire: Wire) -> None:
    wire.handshake()
    wire.end()


def works(wire: Wire) -> None:
    wire.handshake()
    Path("made.txt").write_text("made\n")
    wire.say("I made ")
    wire.say("it.")
    wire.end()


def appends(wire: Wire) -> None:
    wire.handshake()
    with Path("a.txt").open("a") as file:
        file.write("more\n")
    wire.end()


def old(wire: Wire) -> None:
    wire.version = 99
    wire.handshake()


def hangs(_: Wire) -> None:
    time.sleep(600)


def garbage(wire: Wire) -> None:
    for line in (
        "Welcome!",
        "[1, 2]",
        '{"jsonrpc": "2.0"}',
        '{"id": [], "method": 3}',
        '{"id": NaN}',
        "[" * 100_000,
        "\0\xff",
    ):
        sys.stdout.write(line + "\n")
    wire.update("something_of_tomorrow", much={"x": 1})
    works(wire)


def only_garbage(_: Wire) -> None:
    while True:
        sys.stdout.write("no protocol at all\n")


def flood_line(wire: Wire) -> None:
    wire.handshake()
    for _ in range(100):
        sys.stdout.write("x" * 1_000_000)
    sys.stdout.flush()
    wire.leave()


def flood_updates(wire: Wire) -> None:
    wire.handshake()
    for _ in range(1000):
        wire.say("y" * 100_000)
    wire.end()


def flood_errors(wire: Wire) -> None:
    wire.handshake()
    for _ in range(100):
        sys.stderr.write("z" * 1_000_000)
    wire.end()


def flood_and_work(wire: Wire) -> None:
    """Megabytes of errors, 40 unless it is told how many."""
    wire.handshake()
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 40):
        sys.stderr.write("z" * 1_000_000)
    Path("made.txt").write_text("made\n")
    wire.end()


def large_file(wire: Wire) -> None:
    """Leaves and commits a file of so many megabytes that nothing can make smaller."""
    wire.handshake()
    with Path("large.bin").open("wb") as file:
        file.writelines(os.urandom(1_000_000) for _ in range(int(sys.argv[2])))
    subprocess.run(["git", "add", "large.bin"], check=False, capture_output=True)
    subprocess.run(["git", "commit", "-qm", "Large"], check=False, capture_output=True)
    wire.end()


def wide_entries(wire: Wire) -> None:
    """Updates of a megabyte each, with all that a database could stumble over."""
    wire.handshake()
    deep: Any = "x"
    for _ in range(100):
        deep = {"d": [deep]}
    wide = {f"key \ud800 \0 {number}": ["w" * 1000, 1e308 * 10] for number in range(1000)}
    text = json.dumps(
        {
            "jsonrpc": "2.0",
            "method": "session/update",
            "params": {
                "sessionId": wire.session,
                "update": {
                    "sessionUpdate": "tool_call",
                    "toolCallId": "c",
                    "title": "t",
                    "rawInput": {"wide": wide, "deep": deep},
                },
            },
        }
    )
    for _ in range(120):
        sys.stdout.write(text.replace("Infinity", "1e999") + "\n")
    Path("made.txt").write_text("made\n")
    wire.end()


def asks(wire: Wire) -> None:
    wire.handshake()
    while wire.may()["outcome"] == "selected":
        pass
    time.sleep(600)


def asks_once(wire: Wire) -> None:
    wire.handshake()
    wire.say(wire.may()["optionId"])
    wire.end()


def edits_ci(wire: Wire) -> None:
    """Wants to change a protected file, and does what it is allowed to."""
    path = Path(".github/workflows/ci.yml")
    wire.handshake()
    while True:
        place = [{"path": f"{os.getcwd()}/{path}"}]
        outcome = wire.may(f"Edit {path}", kind="edit", locations=place)
        if outcome["outcome"] == "selected":
            break
        wire.end("cancelled")
        wire.handshake()
    if outcome["optionId"] == "y":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("on: push\n")
    else:
        Path("made.txt").write_text("made another way\n")
    wire.say(outcome["optionId"])
    while True:
        wire.end()
        wire.handshake()


def writes_ci(wire: Wire) -> None:
    """Writes a protected file through its client."""
    wire.handshake()
    for _ in range(2):
        path = f"{os.getcwd()}/.github/workflows/ci.yml"
        answer = wire.ask("fs/write_text_file", {"path": path, "content": "on: push\n"})
        wire.say("refused " if "error" in answer else "written ")
    wire.end()


def pushes(wire: Wire) -> None:
    """Wants to run what is refused, and something that is not."""
    wire.handshake()
    for command in ("cd lib && git -C . push origin main", "git status"):
        wire.say(wire.may(command, kind="execute", rawInput={"command": command})["optionId"])
    wire.end()


def dies(wire: Wire) -> None:
    wire.handshake()
    wire.say("And now")
    sys.exit(3)


def dies_at_once(_: Wire) -> None:
    sys.exit(7)


def dies_by_signal(wire: Wire) -> None:
    wire.handshake()
    os.kill(os.getpid(), signal.SIGKILL)


def broken_answer(wire: Wire) -> None:
    wire.handshake()
    wire.send({"id": wire.prompt_id, "result": {"stopReason": ["what"]}})
    wire.leave()


def refuses(wire: Wire) -> None:
    wire.handshake()
    wire.end("refusal")


def limited(wire: Wire) -> None:
    wire.handshake()
    data = {"reason": "rate_limited", "status": 429, "resetAt": "2026-03-01T12:00:00+00:00"}
    wire.fail(code=-32603, message="the rate limit is reached; the model answered 429: slow down", data=data)


def logged_out(wire: Wire) -> None:
    wire.handshake()
    wire.fail(code=-32000, message="Authentication required")


def shell(script: str) -> Callable[[Wire], None]:
    def behave(wire: Wire) -> None:
        wire.handshake()
        done = subprocess.run(script, shell=True, capture_output=True, text=True, check=False)
        wire.say(f"{done.returncode} {done.stderr}")
        wire.end()

    return behave


def files(wire: Wire) -> None:
    wire.handshake()
    Path("link").symlink_to("/etc")
    Path("dangling").symlink_to("/nowhere-at-all/x")
    Path("inner").mkdir()
    Path("alias").symlink_to("inner")
    os.mkfifo("pipe")
    tried = {}
    for path in json.loads(wire.prompts[0]):
        write = wire.ask("fs/write_text_file", {"path": path, "content": "planted\n"})
        read = wire.ask("fs/read_text_file", {"path": path})
        tried[path] = ["error" not in write, read.get("result", {}).get("content")]
    wire.say(json.dumps(tried))
    wire.end()


def writes_outside(wire: Wire) -> None:
    """Tries to reach beyond its workspace through the client, and then does its work."""
    wire.handshake()
    for path in ("/etc/planted", f"{os.getcwd()}/../../other/tree/a.txt", f"{os.getcwd()}/.git/hooks/pre-commit"):
        wire.ask("fs/write_text_file", {"path": path, "content": "planted"})
    Path("made.txt").write_text("made\n")
    wire.end()


def races(wire: Wire) -> None:
    """Exchanges a folder for a link to the outside while the client writes into it."""
    wire.handshake()
    outside = wire.prompts[0]
    Path("real").mkdir()
    Path("way").mkdir()
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            os.rename("way", "aside")
            os.symlink(outside, "way")
            os.unlink("way")
            os.rename("aside", "way")

    thread = threading.Thread(target=swap)
    thread.start()
    for _ in range(300):
        wire.ask("fs/write_text_file", {"path": f"{os.getcwd()}/way/caught.txt", "content": "x"})
    over.set()
    thread.join()
    wire.end()


def stubborn(wire: Wire) -> None:
    """Ends for nobody, nor do its grandchildren."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wire.handshake()
    code = "import signal, time\nfor n in (1, 2, 15): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)"
    for _ in range(3):
        subprocess.Popen(["setsid", "-f", sys.executable, "-c", code, MARK])
    wire.say("stubborn")
    wire.update("plan", entries=[])
    while True:
        time.sleep(600)


def polite(wire: Wire) -> None:
    """Ends its turn when it is asked to, and takes guidance in a new one."""
    wire.handshake()
    wire.say(f"heard: {wire.prompts[-1]}")
    wire.update("plan", entries=[])
    while "guided" not in wire.prompts[-1]:
        message = wire.next_request()
        if message.get("method") == "session/cancel":
            wire.end("cancelled")
            wire.handshake()
            wire.say(f"heard: {wire.prompts[-1]}")
    Path("guided.txt").write_text(wire.prompts[-1])
    wire.end()


def deaf(wire: Wire) -> None:
    """Does not hear that it should end its turn, but ends it in its own time."""
    wire.handshake()
    wire.update("plan", entries=[])
    if "guided" not in wire.prompts[-1]:
        while wire.next_request().get("method") != "session/cancel":
            pass
        time.sleep(1.5)
        wire.end()
        wire.handshake()
    Path("guided.txt").write_text(wire.prompts[-1])
    wire.end()


def steered(wire: Wire) -> None:
    """Takes guidance within its turn."""
    wire.steers = True
    wire.handshake()
    wire.update("plan", entries=[])
    while True:
        message = wire.next_request()
        if message.get("method") == "_devteam/steer":
            wire.send({"id": message["id"], "result": {"accepted": True}})
            Path("guided.txt").write_text(message["params"]["text"])
            wire.end()
            return
        if message.get("method") == "session/cancel":
            os._exit(9)


def slow(wire: Wire) -> None:
    """Says something every now and then, ten times."""
    wire.handshake()
    for number in range(10):
        wire.say(f"{number} ")
        wire.update("plan", entries=[])
        time.sleep(0.1)
    wire.end()


def silent(wire: Wire) -> None:
    wire.handshake()
    wire.update("plan", entries=[])
    time.sleep(600)


def loads(wire: Wire) -> None:
    wire.loads = True
    wire.handshake()
    wire.say("fresh")
    wire.end()


BEHAVIOURS: dict[str, Callable[[Wire], None]] = {
    **{
        behaviour.__name__: behaviour
        for behaviour in (
            edits_ci, writes_ci, pushes,
            nothing, works, appends, old, hangs, garbage, only_garbage, flood_line, flood_updates,
            flood_errors, flood_and_work, large_file, wide_entries, asks, asks_once, dies, dies_at_once,
            dies_by_signal, broken_answer, refuses, limited, logged_out, files, races, stubborn,
            writes_outside, polite, deaf, steered, slow, silent, loads,
        )
    },
    "deletes_git": shell("echo more >> README.md; rm -rf .git"),
    "rewrites_history": shell("echo more >> README.md; git commit -qam one --amend && git checkout -q --orphan x"),
    "detaches": shell("echo more >> README.md; git commit -qam more && git checkout -q --detach"),
    "stays_in_rebase": shell(
        "git checkout -qb side && echo side > README.md && git commit -qam side && git checkout -q - &&"
        " echo more > README.md && git commit -qam more && git rebase side; test -e README.md"
    ),
}  # fmt: skip


if __name__ == "__main__":
    wire = Wire()
    BEHAVIOURS[sys.argv[1]](wire)
    wire.leave()
