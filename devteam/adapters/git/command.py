"""Runs the real `git` program: always as a child process with a time limit and an environment of our own
making.

Nothing of the machine's or the user's git configuration is read, no hook of a local repository runs, nothing
ever prompts, and whatever git says on stderr becomes a `GitError` with a kind and one sentence for a project
manager.
"""

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from devteam.adapters.processes import OWNER_VARIABLE, owner_identity
from devteam.kit.errors import DevTeamError

Argument = str | bytes | Path

DETAIL_BYTES: Final = 2048
LOCAL_TIMEOUT: Final = 300.0
"""Seconds for a command that stays on this machine."""

_GLOBAL_CONFIG: Final = Path(__file__).with_name("gitconfig")
_ALWAYS: Final = (
    "core.hooksPath=/dev/null",
    "protocol.ext.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.directory=*",
    "core.quotePath=false",
    "core.fsmonitor=false",
    "core.bigFileThreshold=32m",  # larger files are streamed, not held in memory, nor compared line by line
    "core.fsync=committed,reference",
    "core.fsyncMethod=batch",
    "submodule.recurse=false",
    "advice.detachedHead=false",
)
_INHERITED: Final = (
    "PATH", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "http_proxy", "https_proxy", "no_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "all_proxy",
)  # fmt: skip


class GitErrorKind(StrEnum):
    """What went wrong, coarse enough to decide by."""

    REPOSITORY_NOT_FOUND = "repository_not_found"
    REPOSITORY_UNREADABLE = "repository_unreadable"
    BRANCH_NOT_FOUND = "branch_not_found"
    EMPTY_REPOSITORY = "empty_repository"
    AUTHENTICATION = "authentication"
    NETWORK = "network"
    DISK_FULL = "disk_full"
    CONFLICT = "conflict"
    PUSH_REJECTED = "push_rejected"
    TIMED_OUT = "timed_out"
    CORRUPT = "corrupt"
    OTHER = "other"


class GitError(DevTeamError):
    """git could not do it. `message` is for people, `detail` is the tail of git's words, without secrets."""

    def __init__(self, kind: GitErrorKind, message: str, detail: str = "") -> None:
        super().__init__(mask_secrets(message), code=f"git_{kind.value}")
        self.kind = kind
        self.detail = _tail(mask_secrets(detail))


@dataclass(frozen=True)
class GitResult:
    """What a git command answered. `stdout` stays bytes because file names need not be UTF-8."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """The output as text, without the blanks around it."""
        return self.stdout.decode("utf-8", errors="replace").strip()

    @property
    def items(self) -> list[bytes]:
        """The entries of output written with `-z`."""
        return [item for item in self.stdout.split(b"\0") if item]


def run_git(
    args: Sequence[Argument],
    *,
    git_dir: Path | None = None,
    work_tree: Path | None = None,
    index_file: Path | None = None,
    stdin: bytes = b"",
    timeout: float = LOCAL_TIMEOUT,
    ok: Collection[int] = (0,),
    env: Mapping[str, str] | None = None,
    config: Sequence[str] = (),
    keep_fds: Sequence[int] = (),
    remote: bool = False,
) -> GitResult:
    """Run one git command and wait for it, `timeout` seconds at most.

    `config` are further `key=value` settings (the place for a credential helper). `keep_fds` stay open in git
    and its children, so that a lock held through them outlives a killed engine for as long as its git does.
    `remote` says that errors about "the repository" mean the customer's and not our mirror.
    """
    process = _start(args, git_dir, work_tree, index_file, env, config, keep_fds, subprocess.PIPE)
    try:
        stdout, stderr = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as exc:
        raise _timed_out(timeout) from exc
    finally:
        _end(process)
    result = GitResult(process.returncode, stdout, stderr.decode("utf-8", errors="replace"))
    if result.code not in ok:
        raise explain_failure(result.stderr + result.text[-DETAIL_BYTES:], remote=remote)
    return result


def read_git(
    args: Sequence[Argument], *, git_dir: Path, limit: int, timeout: float = LOCAL_TIMEOUT
) -> tuple[bytes, bool]:
    """The first `limit` bytes that a git command writes, and whether there was more; git is ended when there
    is.
    """
    with tempfile.TemporaryFile() as errors:
        process = _start(args, git_dir, None, None, None, (), (), errors.fileno())
        timer = threading.Timer(timeout, _kill_group, (process,))
        timer.start()
        try:
            assert process.stdout is not None and process.stdin is not None
            process.stdin.close()
            output = process.stdout.read(limit + 1)
            if len(output) <= limit:
                process.wait()
        finally:
            timer.cancel()
            ended_by_itself = process.poll() is not None
            _end(process)
        if len(output) > limit:
            return output[:limit], True
        if process.returncode == -signal.SIGKILL and ended_by_itself:
            raise _timed_out(timeout)
        if process.returncode != 0:
            errors.seek(0)
            raise explain_failure(errors.read().decode("utf-8", errors="replace"))
        return output, False


def _start(
    args: Sequence[Argument],
    git_dir: Path | None,
    work_tree: Path | None,
    index_file: Path | None,
    env: Mapping[str, str] | None,
    config: Sequence[str],
    keep_fds: Sequence[int],
    stderr: int,
) -> "subprocess.Popen[bytes]":
    settings = [part for setting in (*_ALWAYS, *config) for part in ("-c", setting)]
    try:
        return subprocess.Popen(
            ["git", *settings, *args],
            # Outside any repository unless one is named: a `.git` beside the engine must not lend its
            # settings.
            cwd=work_tree or git_dir or "/",
            env=_environment(git_dir, work_tree, index_file) | dict(env or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=keep_fds,
            start_new_session=True,  # its own group, so that ssh and git-remote-https end with it
        )
    except FileNotFoundError as exc:
        if exc.filename == "git":
            raise GitError(GitErrorKind.OTHER, "The program git is not installed on this machine.") from exc
        raise GitError(GitErrorKind.OTHER, f"The folder {exc.filename} does not exist.") from exc
    except OSError as exc:
        raise GitError(GitErrorKind.OTHER, f"git could not be started: {exc.strerror}.", str(exc)) from exc


def _environment(git_dir: Path | None, work_tree: Path | None, index_file: Path | None) -> dict[str, str]:
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env |= {
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(_GLOBAL_CONFIG),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "SSH_ASKPASS": "/bin/false",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10",
        "GIT_ALLOW_PROTOCOL": "file:https:http:ssh:git",
        # An executor may have written replacement refs or grafts; they must not change what a commit means.
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": "/dev/null",
        "GIT_EDITOR": "/bin/false",
        "GIT_PAGER": "cat",
        OWNER_VARIABLE: owner_identity(),
    }
    for name, value in (("GIT_DIR", git_dir), ("GIT_WORK_TREE", work_tree), ("GIT_INDEX_FILE", index_file)):
        if value is not None:
            env[name] = str(value)
    return env


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Leave no process and no pipe behind, however the call ended."""
    if process.poll() is None:
        _kill_group(process)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


# --- what git's words mean ------------------------------------------------------------------------

_DAMAGED_COPY = "DevTeam's copy of the repository is damaged; it has to be fetched again."
_K = GitErrorKind
# The first rule that matches decides, so the more telling sentences of git stand first.
_RULES: Final[tuple[tuple[str, GitErrorKind, str], ...]] = (
    (r"No space left on device|Disk quota exceeded|out of disk space", _K.DISK_FULL, "The disk is full."),
    (
        r"refusing to update checked out branch|branch is currently checked out",
        _K.PUSH_REJECTED,
        "The project's repository has this very branch checked out and therefore refuses the push; "
        "make the repository bare or check out another branch there.",
    ),
    (
        r"hook declined|protected branch|GH006",
        _K.PUSH_REJECTED,
        "A rule of the project's repository refused the push.",
    ),
    (
        r"\(stale info\)|\(fetch first\)|\(non-fast-forward\)|but expected|\[rejected\]"
        r"|\(incorrect old value",
        _K.PUSH_REJECTED,
        "The branch has moved in the project's repository since it was last read.",
    ),
    (
        r"Authentication failed|could not read (Username|Password)|Permission denied \(|invalid credentials"
        r"|returned error: 40[13]|Host key verification failed|Write access to repository not granted",
        _K.AUTHENTICATION,
        "The repository refused DevTeam's sign-in.",
    ),
    (
        r"returned error: 404|[Rr]epository '?.*'? ?not found|does not appear to be a git repository",
        _K.REPOSITORY_NOT_FOUND,
        "There is no git repository at this address.",
    ),
    (
        r"insufficient permission|unable to create temporary object directory",
        _K.REPOSITORY_UNREADABLE,
        "DevTeam may not write to the repository.",
    ),
    (
        r"Permission denied|dubious ownership",
        _K.REPOSITORY_UNREADABLE,
        "DevTeam may not read or write the repository's folder.",
    ),
    (
        r"Could not resolve host|[Cc]onnection (refused|timed out|reset|closed)|[Nn]etwork is unreachable"
        r"|No route to host"
        r"|Failed to connect|unable to connect|early EOF|RPC failed|returned error: 5\d\d|SSL"
        r"|unexpected disconnect",
        _K.NETWORK,
        "The repository's server could not be reached.",
    ),
    (r"couldn't find remote ref", _K.BRANCH_NOT_FOUND, "The branch does not exist in the repository."),
    (
        r"is corrupt|bad object|object file .* is empty|missing (blob|tree|commit)|inflate:"
        r"|unable to read tree"
        r"|did not send all necessary objects|broken ref|bad tree object|unable to find [0-9a-f]{40}"
        r"|not a valid object"
        r"|bad signature|index file (corrupt|smaller)|object directory .* does not exist"
        r"|[Cc]ould not read [0-9a-f]{40}",
        _K.CORRUPT,
        _DAMAGED_COPY,
    ),
    (r"remote end hung up", _K.NETWORK, "The connection to the repository broke off."),
)


def explain_failure(stderr: str, *, remote: bool = False) -> GitError:
    """The error for what git wrote."""
    if re.search(r"not a git repository", stderr):
        if remote:
            return GitError(_K.REPOSITORY_NOT_FOUND, "There is no git repository at this address.", stderr)
        return GitError(_K.CORRUPT, _DAMAGED_COPY, stderr)
    for pattern, kind, message in _RULES:
        if re.search(pattern, stderr):
            return GitError(kind, message, stderr)
    lines = [line.strip() for line in stderr.splitlines() if re.match(r"\s*(fatal|error):", line)]
    return GitError(_K.OTHER, f"git could not do it ({lines[0] if lines else 'no reason given'}).", stderr)


def _timed_out(seconds: float) -> GitError:
    return GitError(_K.TIMED_OUT, f"git did not finish within {seconds:g} seconds.")


def mask_secrets(text: str) -> str:
    """The text with sign-in parts of addresses replaced by ***."""
    text = re.sub(r"(://)(?!git@)[^\s/]*@", r"\1***@", text)
    return re.sub(r"(?i)([?&;][\w-]*(?:token|key|secret|password|passwd|pat)=)[^&\s'\"]+", r"\1***", text)


def _tail(text: str) -> str:
    return text.encode("utf-8", errors="replace")[-DETAIL_BYTES:].decode("utf-8", errors="ignore").strip()


# --- what may be handed to git --------------------------------------------------------------------


def check_sha(text: str) -> str:
    """The full hash of an object, or an error: abbreviations and names are refused."""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise GitError(_K.OTHER, f"{text[:80]!r} is not the full hash of a commit.")
    return text


def check_branch(name: str) -> str:
    """A branch name that git takes as a name and as nothing else, or an error."""
    if not _is_ref_name(f"refs/heads/{name}") or name.startswith("-") or name == "HEAD":
        raise GitError(_K.BRANCH_NOT_FOUND, f"{name[:80]!r} cannot be the name of a branch.")
    return name


def check_ref(name: str) -> str:
    """A full ref name such as refs/devteam/attempts/7/work, or an error."""
    if not name.startswith("refs/") or not _is_ref_name(name):
        raise GitError(_K.OTHER, f"{name[:80]!r} is not a full ref name.")
    return name


def _is_ref_name(name: str) -> bool:
    """The rules of git-check-ref-format, without starting a process for each name."""
    if len(name.encode("utf-8", errors="replace")) > 240 or re.search(
        r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{", name
    ):
        return False
    return all(part and not part.startswith(".") and not part.endswith((".", ".lock")) for part in name.split("/"))
