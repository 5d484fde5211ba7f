"""Looking at a customer's repository: every way in which it can be wrong has its own clear sentence."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from devteam.adapters.git import GitError, GitErrorKind, normalise_repository, probe, remote_head
from devteam.adapters.git.command import (
    check_branch,
    check_ref,
    check_sha,
    explain_failure,
    mask_secrets,
    run_git,
)
from tests.integration.git_projects import git, make_customer

SECRET = "hunter2-very-secret"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/srv/git/shop.git", "/srv/git/shop.git"),
        (" //srv/git/../git/shop.git/ ", "/srv/git/shop.git"),
        ("file:///srv/git/my%20shop.git", "/srv/git/my shop.git"),
        ("https://git.example.test/shop.git", "https://git.example.test/shop.git"),
        ("HTTPS://ann@git.example.test:8443/shop.git", "https://ann@git.example.test:8443/shop.git"),
        ("ssh://git@git.example.test:2222/shop.git", "ssh://git@git.example.test:2222/shop.git"),
        ("git://[::1]/shop.git", "git://[::1]/shop.git"),
        ("git@git.example.test:team/shop.git", "git@git.example.test:team/shop.git"),
    ],
)
def test_sound_addresses_are_taken_in_one_form(given: str, expected: str) -> None:
    assert normalise_repository(given) == expected
    assert normalise_repository(expected) == expected


@pytest.mark.parametrize(
    "address",
    [
        "", "shop.git", "./shop", "../shop", "~/shop", "--upload-pack=touch /tmp/x", "-oProxyCommand=x",
        "ext::sh -c id",
        "ext::https://x/y", "fd::3", "ftp://host/x", "https://", "https://host", "ssh://-oProxyCommand=x/y",
        "ssh://-u@host/y", "git@-host:x", "-u@host:x", "host:-x", "file://other/x", "https://host/x\ny",
        "/srv/\x00x", "/srv/\x1b[31mx", "https://host/" + "x" * 2048, "https://host:port/x",
        "https://host/x#y",
        "git@host::x",
    ],
)  # fmt: skip
def test_addresses_that_git_could_take_for_something_else_are_refused(address: str) -> None:
    with pytest.raises(GitError) as refusal:
        normalise_repository(address)
    assert refusal.value.message.endswith(".")


@pytest.mark.parametrize(
    "address",
    [
        f"https://ann:{SECRET}@host/shop.git",
        f"https://{SECRET}-{SECRET}@host/shop.git",
        f"https://ghp_{SECRET[:5]}@host/shop.git",
        f"https://host/shop.git?private_token={SECRET}",
        f"ssh://git:{SECRET}@host/shop.git",
        f"https://ann:{SECRET}@host:notaport/shop.git",
        f"ann:{SECRET}@host:shop.git",
        f"ext::ann:{SECRET}@host",
    ],
)
def test_a_secret_in_an_address_is_refused_and_never_repeated(address: str) -> None:
    with pytest.raises(GitError) as refusal:
        normalise_repository(address)
    shown = f"{refusal.value.message} {refusal.value.detail} {refusal.value!r} {refusal.value.__cause__!r}"
    assert SECRET[:5] not in shown


def test_secrets_in_what_git_writes_are_masked() -> None:
    words = (
        f"fatal: unable to access 'https://ann:{SECRET}@host/x?access_token={SECRET}&y=1': 403\n"
        f"remote: https://{SECRET}@host/x and ssh://git@host/y"
    )
    masked = mask_secrets(words)
    assert SECRET not in masked
    assert "ssh://git@host/y" in masked
    error = explain_failure(words, remote=True)
    assert SECRET not in error.detail + error.message


@pytest.mark.parametrize(
    "name", ["-d", "--force", "a..b", "a b", "a~1", "x.lock", "a//b", "/a", "a/", "HEAD", "@{-1}", "", "a\nb"]
)
def test_branch_names_that_mean_more_than_a_name_are_refused(name: str) -> None:
    with pytest.raises(GitError):
        check_branch(name)
    with pytest.raises(GitError):
        check_ref(name)


def test_only_full_hashes_pass_as_commits() -> None:
    assert check_sha("a" * 40) == "a" * 40
    for text in ("HEAD", "a" * 39, "--all", "a" * 40 + "\n"):
        with pytest.raises(GitError):
            check_sha(text)


def test_probe_answers_the_default_branch_and_its_commit(tmp_path: Path) -> None:
    customer = make_customer(tmp_path)
    head = probe(str(customer.bare), None)
    assert (head.base_branch, head.commit) == ("main", customer.head())
    assert probe(f"file://{customer.bare}", "main") == head
    assert probe(str(customer.clone), "main") == head
    assert remote_head(str(customer.bare), "main") == customer.head()
    assert remote_head(str(customer.bare), "other") is None


def failure(repository: Path, branch: str | None = None) -> GitError:
    with pytest.raises(GitError) as error:
        probe(str(repository), branch)
    return error.value


def test_unknown_repository(tmp_path: Path) -> None:
    error = failure(tmp_path / "nowhere")
    assert error.kind is GitErrorKind.REPOSITORY_NOT_FOUND
    assert "nothing at" in error.message


def test_a_file_and_a_plain_folder_are_no_repositories(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    file, folder = failure(tmp_path / "file"), failure(tmp_path / "folder")
    assert {file.kind, folder.kind} == {GitErrorKind.REPOSITORY_NOT_FOUND}
    assert "is a file" in file.message
    assert "is not a git repository" in folder.message


def test_a_repository_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "empty.git")
    assert failure(tmp_path / "empty.git").kind is GitErrorKind.EMPTY_REPOSITORY
    assert failure(tmp_path / "empty.git", "main").kind is GitErrorKind.EMPTY_REPOSITORY


def test_a_wrong_branch_is_answered_with_at_most_five_existing_ones(tmp_path: Path) -> None:
    customer = make_customer(tmp_path)
    for name in ("a", "b", "c", "d", "release-main", "f"):
        git(customer.bare, "branch", name, "main")
    error = failure(customer.bare, "mainn")
    assert error.kind is GitErrorKind.BRANCH_NOT_FOUND
    assert "no branch named mainn" in error.message
    assert error.message.endswith("a, b, c, d, f and 2 more.")
    assert "main, release-main" in failure(customer.bare, "MAIN").message


def test_no_default_branch_asks_for_a_choice(tmp_path: Path) -> None:
    customer = make_customer(tmp_path)
    git(customer.bare, "symbolic-ref", "HEAD", "refs/heads/gone")
    error = failure(customer.bare)
    assert error.kind is GitErrorKind.BRANCH_NOT_FOUND
    assert "choose one of: main" in error.message


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs to drop root's rights")
def test_an_unreadable_folder_is_told_from_a_missing_one(tmp_path: Path) -> None:
    customer = make_customer(tmp_path)
    customer.bare.chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(0o755)
    code = (
        "import sys; from devteam.adapters.git import probe, GitError\n"
        "try: probe(sys.argv[1], None)\nexcept GitError as e: print(e.kind.value, e.message)"
    )
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
         sys.executable, "-c", code, str(customer.bare)],
        capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    unreadable = ("No module", "can't open", "loading shared libraries")
    if done.returncode == 126 or any(words in done.stderr for words in unreadable):
        pytest.skip("the code is not readable without root's rights")
    assert done.stdout == f"repository_unreadable DevTeam may not read the folder {customer.bare}.\n", done.stderr


def test_a_server_that_is_not_there_is_a_network_error() -> None:
    for address in ("http://127.0.0.1:1/shop.git", "git://127.0.0.1:1/shop.git"):
        with pytest.raises(GitError) as error:
            probe(address, None)
        assert error.value.kind is GitErrorKind.NETWORK, error.value.detail


def test_a_server_that_wants_a_sign_in_is_an_authentication_error() -> None:
    class Locked(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Locked)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(GitError) as error:
            probe(f"http://127.0.0.1:{server.server_port}/shop.git", None)
    finally:
        server.shutdown()
        server.server_close()
    assert error.value.kind is GitErrorKind.AUTHENTICATION, error.value.detail


def test_a_silent_server_times_out_and_leaves_no_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(GitError) as error:
            probe(f"http://127.0.0.1:{server.getsockname()[1]}/shop.git", None, timeout=0.5)
        assert error.value.kind is GitErrorKind.TIMED_OUT
        assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("error: file write error: No space left on device", GitErrorKind.DISK_FULL),
        (
            "fatal: could not read Username for 'https://h': terminal prompts disabled",
            GitErrorKind.AUTHENTICATION,
        ),
        (
            "git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            GitErrorKind.AUTHENTICATION,
        ),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", GitErrorKind.NETWORK),
        (
            "remote: Repository not found.\nfatal: repository 'https://h/x/' not found",
            GitErrorKind.REPOSITORY_NOT_FOUND,
        ),
        (
            "error: object file ./objects/ab/cd is empty\nfatal: loose object abcd is corrupt",
            GitErrorKind.CORRUPT,
        ),
        ("something new", GitErrorKind.OTHER),
    ],
)
def test_what_git_writes_gets_a_kind(words: str, kind: GitErrorKind) -> None:
    assert explain_failure(words, remote=True).kind is kind


def test_the_environment_and_settings_of_the_user_do_not_reach_git(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Eve\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.email")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "eve@example.test")
    listing = run_git(["config", "--list"]).text
    assert "Eve" not in listing and "eve@" not in listing
    assert "core.hookspath=/dev/null" in listing and "safe.directory=*" in listing
