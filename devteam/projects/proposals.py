"""Gates proposed for a repository; a person takes those that fit into the project."""

from pydantic import Field

from devteam.access.model import Actor
from devteam.access.rules import Permission, check
from devteam.kit.wire import Input, View
from devteam.projects.detection import propose_gates
from devteam.projects.gates import CommandGate
from devteam.projects.ports import RepositoryReader


class RepositoryInput(Input):
    """A repository to look at, at its default branch unless another is named."""

    repository: str = Field(min_length=1, max_length=2048)
    base_branch: str | None = Field(default=None, min_length=1, max_length=250)


class GateProposal(View):
    """A gate that the repository suggests, what was found, and in which file."""

    gate: CommandGate
    why: str
    file: str


class GateProposalList(View):
    """What to check in a repository, as it stands at a commit."""

    base_branch: str
    commit: str
    proposals: list[GateProposal]


class GateProposer:
    """Looks into repositories that are or will be projects."""

    def __init__(self, read: RepositoryReader) -> None:
        self._read = read

    def propose(self, actor: Actor, wanted: RepositoryInput) -> GateProposalList:
        """Look and propose; nothing is stored. Raises Invalid when the repository cannot be read."""
        check(actor, Permission.COMMAND)
        with self._read(wanted.repository, wanted.base_branch) as files:
            proposals = propose_gates(files.paths, files.read)
        return GateProposalList(
            base_branch=files.head.base_branch,
            commit=files.head.commit,
            proposals=[GateProposal(gate=each.gate, why=each.why, file=each.file) for each in proposals],
        )
