"""The look at a repository before it is linked as a project, with refusals that name the field to mend."""

from devteam.adapters.git.command import GitError, GitErrorKind
from devteam.adapters.git.remote import normalise_repository, probe
from devteam.kit.errors import Invalid
from devteam.projects.ports import RepositoryHead

_OF_BRANCH = frozenset({GitErrorKind.BRANCH_NOT_FOUND})


def probe_repository(repository: str, base_branch: str | None) -> RepositoryHead:
    """The repository's address in its normal form and the branch's head. Raises Invalid."""
    try:
        address = normalise_repository(repository)
    except GitError as exc:
        raise Invalid.field("repository", exc.message, code=exc.code) from exc
    try:
        head = probe(address, base_branch)
    except GitError as exc:
        field = "baseBranch" if exc.kind in _OF_BRANCH else "repository"
        raise Invalid.field(field, exc.message, code=exc.code) from exc
    return RepositoryHead(repository=address, base_branch=head.base_branch, commit=head.commit)
