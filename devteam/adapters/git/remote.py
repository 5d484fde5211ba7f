"""Looks at a customer's repository without fetching it: is the address sound, is it there, does the branch
exist.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from devteam.adapters.git.command import GitError, GitErrorKind, GitResult, check_branch, run_git

MAX_ADDRESS: Final = 2048
SHOWN_BRANCHES: Final = 5
LONGEST_USER: Final = 19
"""Characters. A longer user name in an http address is taken for an access token."""

_SCP_LIKE: Final = re.compile(r"(?:[A-Za-z0-9._][A-Za-z0-9._-]*@)?[A-Za-z0-9._][A-Za-z0-9._-]*:(?!//)(?!:)[^-:].*")


@dataclass(frozen=True)
class RemoteHead:
    """A branch of the customer's repository and the commit it stands at."""

    base_branch: str
    commit: str


def normalise_repository(text: str) -> str:
    """The address in the one form DevTeam stores and hands to git; refuses what git could take for anything
    else.
    """
    address = text.strip()
    if not address:
        raise _unsound("The address of the repository is empty.")
    if len(address) > MAX_ADDRESS:
        raise _unsound(f"The address of the repository is longer than {MAX_ADDRESS} characters.")
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", address):
        raise _unsound("The address of the repository contains control characters.")
    if address.startswith("/"):
        return os.path.normpath(address).replace("//", "/", 1)
    if "://" in address and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", address):
        return _normalise_url(address)
    if _SCP_LIKE.fullmatch(address):
        if ":" in address.partition("@")[0]:
            raise _secret_inside()
        return address
    if re.match(r"[^/\s]*:[^/\s]*@", address):
        raise _secret_inside()
    raise _unsound("The repository must be an absolute path, a URL (http, https, ssh, git, file) or user@host:path.")


def _normalise_url(address: str) -> str:
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError as exc:
        # The cause is cut off on purpose: its text may quote the address and with it a secret.
        raise _unsound("The address of the repository is not a valid URL.") from exc.__cause__
    if url.scheme not in ("file", "http", "https", "ssh", "git"):
        raise _unsound("Only http, https, ssh, git and file addresses are supported.")
    if url.password is not None or _is_token(url):
        raise _secret_inside()
    if url.query or url.fragment:
        raise _unsound("The address of the repository must not contain '?' or '#'.")
    if url.scheme == "file":
        if url.netloc not in ("", "localhost"):
            raise _unsound("A file address must name a path on this machine.")
        return normalise_repository(_decoded_path(url.path))
    if not url.hostname or url.hostname.startswith("-") or (url.username or "").startswith("-"):
        raise _unsound("The address of the repository names no server.")
    if url.path.startswith("/-") or len(url.path) < 2:
        raise _unsound("The address of the repository names no repository on the server.")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    user = f"{url.username}@" if url.username else ""
    return f"{url.scheme}://{user}{host}{f':{port}' if port else ''}{url.path}"


def _decoded_path(path: str) -> str:
    decoded = unquote(path)
    if not decoded.startswith("/"):
        raise _unsound("A file address must name an absolute path.")
    return decoded


def _is_token(url: SplitResult) -> bool:
    user = url.username or ""
    return url.scheme in ("http", "https") and (len(user) > LONGEST_USER or bool(re.match(r"gh[a-z]_|gl[a-z]+-", user)))


def probe(repository: str, base_branch: str | None, timeout: float = 10) -> RemoteHead:
    """The branch's head, or an error that tells what is wrong with repository or branch; None asks for the
    default one.
    """
    repository = normalise_repository(repository)
    if base_branch is not None:
        check_branch(base_branch)
    _check_folder(repository)
    try:
        listing = _list_refs(repository, timeout)
    except GitError as exc:
        if exc.kind is GitErrorKind.REPOSITORY_NOT_FOUND and repository.startswith("/"):
            raise GitError(exc.kind, f"The folder {repository} is not a git repository.", exc.detail) from exc
        raise
    default, heads = _parse_listing(listing)
    if not heads:
        raise GitError(GitErrorKind.EMPTY_REPOSITORY, "The repository has no commits yet; it needs at least one.")
    branch = base_branch or default
    if branch is None:
        raise GitError(
            GitErrorKind.BRANCH_NOT_FOUND,
            f"The repository has no default branch; choose one of: {_shown(heads, '')}.",
        )
    if branch not in heads:
        raise GitError(
            GitErrorKind.BRANCH_NOT_FOUND,
            f"The repository has no branch named {branch}; it has: {_shown(heads, branch)}.",
        )
    return RemoteHead(branch, heads[branch])


def remote_head(repository: str, branch: str, timeout: float = 30) -> str | None:
    """The commit a branch of the customer's repository stands at now, or None without such a branch."""
    ref = f"refs/heads/{check_branch(branch)}"
    result = run_git(["ls-remote", "--", normalise_repository(repository), ref], timeout=timeout, remote=True)
    for line in result.text.splitlines():
        commit, _, name = line.partition("\t")
        if name == ref:
            return commit
    return None


def _check_folder(repository: str) -> None:
    """Tell a missing folder from an unreadable one; git itself calls both "not a git repository"."""
    if not repository.startswith("/"):
        return
    path = Path(repository)
    try:
        path.stat()  # raises what tells a missing folder from an unreadable one
        is_folder = path.is_dir()
        if is_folder:
            git_dir = path / ".git" if (path / ".git").is_dir() else path
            for entry in (path, git_dir, git_dir / "HEAD", git_dir / "objects", git_dir / "refs"):
                if entry.exists() and not os.access(entry, os.R_OK | (os.X_OK if entry.is_dir() else 0)):
                    raise PermissionError(entry)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise GitError(GitErrorKind.REPOSITORY_NOT_FOUND, f"There is nothing at {repository}.", str(exc)) from exc
    except PermissionError as exc:
        raise GitError(
            GitErrorKind.REPOSITORY_UNREADABLE, f"DevTeam may not read the folder {repository}.", str(exc)
        ) from exc
    if not is_folder:
        raise GitError(GitErrorKind.REPOSITORY_NOT_FOUND, f"{repository} is a file, not a git repository.")


def _list_refs(repository: str, timeout: float) -> GitResult:
    return run_git(["ls-remote", "--symref", "--", repository, "HEAD", "refs/heads/*"], timeout=timeout, remote=True)


def _parse_listing(listing: GitResult) -> tuple[str | None, dict[str, str]]:
    """The branch that HEAD names, if any, and the commit of each branch."""
    default: str | None = None
    heads: dict[str, str] = {}
    for line in listing.text.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: refs/heads/") and name == "HEAD":
            default = value.removeprefix("ref: refs/heads/")
        elif name.startswith("refs/heads/"):
            heads[name.removeprefix("refs/heads/")] = value
    return default, heads


def _shown(heads: dict[str, str], wanted: str) -> str:
    """A few existing branches, those that resemble the wanted one first."""
    alike = sorted(heads, key=lambda name: (wanted.lower() not in name.lower() if wanted else False, len(name), name))
    more = len(alike) - SHOWN_BRANCHES
    return ", ".join(alike[:SHOWN_BRANCHES]) + (f" and {more} more" if more > 0 else "")


def _unsound(message: str) -> GitError:
    return GitError(GitErrorKind.OTHER, message)


def _secret_inside() -> GitError:
    return _unsound("The address contains a password or token; remove it and give DevTeam the credentials separately.")
