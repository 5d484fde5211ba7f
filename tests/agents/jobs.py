"""A job that takes an agent two rounds, as each agent's model would do it: by the agent's own tools."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.peers.model_server import Answer, Seen, Step, call, say

FILES = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n",
    "AGENTS.md": "Keep functions short.\n",
}
GATE = {"name": "tests", "argv": ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]}
FEEDBACK = "DevTeam checked your work (round 1)"
LOOK_OUT = (
    "cat {secret} /etc/shadow; ls {data}; python -c \"import socket; socket.create_connection(('{host}', {port}))\""
)


@dataclass(frozen=True)
class Tools:
    """How an agent calls the tools that the job takes; paths are absolute for some."""

    shell: Callable[[str], Answer]
    read: Callable[[Path], Answer]
    edit: Callable[[Path, str, str], Answer]


TOOLS: Mapping[str, Tools] = {
    "native": Tools(
        shell=lambda command: call("shell", command=command),
        read=lambda file: call("read_file", path=file.name),
        edit=lambda file, old, new: call("edit_file", path=file.name, old_text=old, new_text=new),
    ),
    "opencode": Tools(
        shell=lambda command: call("bash", command=command, description="Run it"),
        read=lambda file: call("read", filePath=str(file)),
        edit=lambda file, old, new: call("edit", filePath=str(file), oldString=old, newString=new),
    ),
    "claude": Tools(
        shell=lambda command: call("Bash", command=command, description="Run it"),
        read=lambda file: call("Read", file_path=str(file)),
        edit=lambda file, old, new: call("Edit", file_path=str(file), old_string=old, new_string=new),
    ),
}


class TwoRounds:
    """The model's side: it looks around, claims to be done, and mends the file when the gate has said no.

    What to say is told from the conversation alone, so it does not matter how often an agent asks.
    """

    def __init__(self, agent: str, look_out: str, tree: Callable[[], Path]) -> None:
        self._tools = TOOLS[agent]
        self._look_out = look_out
        self._tree = tree

    def __call__(self, seen: Seen) -> Step:
        """What the model says next."""
        told = FEEDBACK in json.dumps(seen.messages)
        results = len(seen.results())
        if not told:
            return self._tools.shell(self._look_out) if results == 0 else say("Done, I believe.")
        file = self._tree() / "calc.py"
        steps: list[Callable[[], Step]] = [
            lambda: self._tools.read(file),
            lambda: self._tools.edit(file, "a - b", "a + b"),
            lambda: self._tools.shell("python -m pytest -q"),
        ]
        # The first round's look is part of the conversation only if the agent could load its session.
        assert results >= 1, "the session of the first round is gone"
        return steps[results - 1]() if results <= len(steps) else say("The sign was wrong; the test passes.")


class OnlyWords:
    """A model that says that all is done, and does nothing."""

    def __call__(self, seen: Seen) -> Step:
        """What the model says next."""
        return say("Everything is done and every test passes.")
