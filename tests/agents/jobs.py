"""A job that takes an agent two rounds, as each agent's model would do it: by the agent's own tools.

The repository is a real package, inflection, with one mistake put into it that its own tests find; where no package
index can be reached, it is a small one of our own.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devteam.demo.importer import import_package
from devteam.demo.packages import PACKAGES, DemoUnavailable, fetch_packages
from tests.integration.git_projects import git
from tests.peers.model_server import Answer, Seen, Step, call, say

FEEDBACK = "DevTeam checked your work (round 1)"
LOOK_OUT = (
    "cat {secret} /etc/shadow; ls {data}; python -c \"import socket; socket.create_connection(('{host}', {port}))\""
)


@dataclass(frozen=True)
class Chore:
    """A repository's files, the mistake in one of them, and the tests that find it: all, or those of a name. A gate
    over the others too would hold, because they pass and what fails failed before.
    """

    files: Mapping[str, str]
    path: str
    wrong: str
    right: str
    tests: str = ""

    @property
    def gate(self) -> dict[str, Any]:
        """What has to hold, and does not on the base."""
        return {"name": "tests", "argv": ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", self.tests]}

    @property
    def mended(self) -> str:
        """The file as it should be."""
        return self.files[self.path].replace(self.wrong, self.right)


SMALL = Chore(
    files={
        "calc.py": "def add(a, b):\n    return a - b\n",
        "test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n",
        "AGENTS.md": "Keep functions short.\n",
    },
    path="calc.py",
    wrong="a - b",
    right="a + b",
)


def real_chore(folder: Path) -> Chore:
    """A mistake in inflection."""
    try:
        archive = fetch_packages(folder, PACKAGES[:1])[PACKAGES[0].name]
    except DemoUnavailable as exc:
        if "cannot be reached" in exc.message:
            return SMALL
        raise
    checkout = import_package(archive, folder / "repositories").parent / "checkout"
    names = [name for name in git(checkout, "ls-files").splitlines() if not name.endswith(".pyc")]
    files = {name: (checkout / name).read_text(encoding="utf-8") for name in names}
    wrong, right = "string[0].upper() + camelize", "string[0].lower() + camelize"
    chore = Chore(files, "inflection/__init__.py", wrong, right, tests="camelize_with_lower")
    assert files[chore.path].count(chore.right) == 1
    return replace(chore, files={**files, chore.path: files[chore.path].replace(chore.right, chore.wrong)})


@dataclass(frozen=True)
class Tools:
    """How an agent calls the tools that the job takes: in a tree, on a path in it; some want absolute ones."""

    shell: Callable[[str], Answer]
    read: Callable[[Path, str], Answer]
    edit: Callable[[Path, str, str, str], Answer]
    loads: bool = True
    """Whether a later round goes on with the session of the first."""


TOOLS: Mapping[str, Tools] = {
    "native": Tools(
        shell=lambda command: call("shell", command=command),
        read=lambda tree, path: call("read_file", path=path),
        edit=lambda tree, path, old, new: call("edit_file", path=path, old_text=old, new_text=new),
    ),
    "opencode": Tools(
        shell=lambda command: call("bash", command=command, description="Run it"),
        read=lambda tree, path: call("read", filePath=str(tree / path)),
        edit=lambda tree, path, old, new: call("edit", filePath=str(tree / path), oldString=old, newString=new),
    ),
    "gemini": Tools(
        shell=lambda command: call("run_shell_command", command=command, description="Run it"),
        read=lambda tree, path: call("read_file", file_path=str(tree / path)),
        edit=lambda tree, path, old, new: call(
            "replace", file_path=str(tree / path), instruction="Mend it", old_string=old, new_string=new
        ),
        loads=False,
    ),
    "claude": Tools(
        shell=lambda command: call("Bash", command=command, description="Run it"),
        read=lambda tree, path: call("Read", file_path=str(tree / path)),
        edit=lambda tree, path, old, new: call("Edit", file_path=str(tree / path), old_string=old, new_string=new),
    ),
}


class TwoRounds:
    """The model's side: it looks around, claims to be done, and mends the file when the gate has said no.

    What to say is told from the conversation alone, so it does not matter how often an agent asks.
    """

    def __init__(self, agent: str, chore: Chore, look_out: str, tree: Callable[[], Path]) -> None:
        self._tools = TOOLS[agent]
        self._chore = chore
        self._look_out = look_out
        self._tree = tree

    def __call__(self, seen: Seen) -> Step:
        """What the model says next."""
        told = FEEDBACK in json.dumps([seen.messages, seen.body.get("contents")])
        results = len(seen.results())
        if not told:
            return self._tools.shell(self._look_out) if results == 0 else say("Done, I believe.")
        tree, chore = self._tree(), self._chore
        steps: list[Callable[[], Step]] = [
            lambda: self._tools.read(tree, chore.path),
            lambda: self._tools.edit(tree, chore.path, chore.wrong, chore.right),
            lambda: self._tools.shell("python -m pytest -q"),
        ]
        # The first round's look is part of the conversation only if the agent could load its session.
        before = 1 if self._tools.loads else 0
        assert results >= before, "the session of the first round is gone"
        return (
            steps[results - before]() if results - before < len(steps) else say("The sign was wrong; the test passes.")
        )


class OnlyWords:
    """A model that says that all is done, and does nothing."""

    def __call__(self, seen: Seen) -> Step:
        """What the model says next."""
        return say("Everything is done and every test passes.")
