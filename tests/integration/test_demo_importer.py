"""Real archives, real git."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from devteam.demo.importer import ImportFailed, import_package
from devteam.demo.packages import PACKAGES, DemoUnavailable, fetch_packages

NEWEST = 1_600_000_000
FILES = {
    "tiny-1.0/tiny.py": b"answer = 42\n",
    "tiny-1.0/PKG-INFO": b"Name: tiny\n",
    "tiny-1.0/tiny.egg-info/SOURCES.txt": b"tiny.py\n",
}

IMPORTED = {
    "inflection": "d80cda62224634942c6667aed2118abc08fc63e4",
    "tabulate": "db67900c1ff06a4d9f662c00208d247cb588440d",
    "pystache": "43b0fa5f8e704748718087502da0c689a028dbb3",
    "schedule": "c426778e340e62e61fb2a9b63e861699ff982f3c",
    "toolz": "872f8517ff17ba01d945636392a2c3b5e0fd6931",
}


def archive_of(folder: Path, files: dict[str, bytes], name: str = "tiny-1.0.tar.gz") -> Path:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / name, "w:gz") as tar:
        for age, (path, content) in enumerate(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), NEWEST - age
            tar.addfile(member, io.BytesIO(content))
    return folder / name


def git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=repository, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_an_archive_becomes_one_commit_in_a_bare_origin(tmp_path: Path) -> None:
    origin = import_package(archive_of(tmp_path / "a", FILES), tmp_path / "repositories")
    assert origin == tmp_path / "repositories" / "tiny" / "origin.git"
    assert git(origin, "rev-parse", "--is-bare-repository") == "true"
    assert git(origin, "rev-list", "--count", "--all") == "1"
    assert git(origin, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert git(origin, "log", "-1", "--format=%an <%ae> %at %cn <%ce> %ct") == (
        f"Demo import <demo@localhost> {NEWEST} Demo import <demo@localhost> {NEWEST}"
    )
    assert git(origin, "show", "main:tiny.py") == "answer = 42"


def test_generated_files_stay_out_and_the_message_says_so(tmp_path: Path) -> None:
    origin = import_package(archive_of(tmp_path / "a", FILES), tmp_path)
    assert git(origin, "ls-tree", "-r", "--name-only", "main").splitlines() == [".gitignore", "tiny.py"]
    message = git(origin, "log", "-1", "--format=%B")
    assert message.startswith("Import tiny 1.0 from its source distribution\n")
    assert "PKG-INFO and tiny.egg-info" in message
    assert ".gitignore" in message


def test_a_gitignore_of_the_package_is_kept(tmp_path: Path) -> None:
    files = {"tiny-1.0/.gitignore": b"*.log\n", "tiny-1.0/kept.log": b"in the archive, so in the import\n"}
    origin = import_package(archive_of(tmp_path / "a", files), tmp_path)
    assert git(origin, "show", "main:.gitignore") == "*.log"
    assert "kept.log" in git(origin, "ls-tree", "--name-only", "main")


def test_the_checkout_follows_origin_even_after_a_move(tmp_path: Path) -> None:
    origin = import_package(archive_of(tmp_path / "a", FILES), tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    checkout = tmp_path / "there" / "tiny" / "checkout"
    git(checkout, "fetch", "origin")
    assert git(checkout, "status", "--porcelain", "--branch") == "## main...origin/main"
    assert not origin.exists()


def test_the_same_archive_makes_the_same_commit_whatever_the_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(tmp_path / "a", FILES)
    first = import_package(archive, tmp_path / "one")
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\nname = Else\nemail = else@x\n[core]\nautocrlf = true\n[commit]\ngpgSign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere.git"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    second = import_package(archive, tmp_path / "two")
    monkeypatch.undo()
    assert git(first, "rev-parse", "main") == git(second, "rev-parse", "main")
    assert not (tmp_path / "elsewhere.git").exists()


def test_no_hook_of_the_machine_runs(tmp_path: Path) -> None:
    origin = import_package(archive_of(tmp_path / "a", FILES), tmp_path)
    for repository in (origin, origin.with_name("checkout")):
        assert git(repository, "config", "core.hooksPath") == "/dev/null"
    assert not (origin / "hooks").exists()


def test_an_import_is_kept_with_what_was_delivered_until_forced(tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "a", FILES)
    origin = import_package(archive, tmp_path)
    git(origin, "branch", "delivered", "main")
    assert import_package(archive, tmp_path) == origin
    assert git(origin, "branch", "--list", "delivered") == "delivered"
    assert import_package(archive, tmp_path, force=True) == origin
    assert git(origin, "branch", "--list", "delivered") == ""


def test_something_else_in_the_place_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "precious.txt").write_text("mine")
    with pytest.raises(ImportFailed, match="no complete import"):
        import_package(archive_of(tmp_path / "a", FILES), tmp_path)
    assert (tmp_path / "tiny" / "precious.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tiny-1.0/../../escaped.txt", "does not belong there"),
        ("/tmp/escaped.txt", "does not belong there"),
        ("tiny-1.0/.git/hooks/pre-commit", "does not belong there"),
        ("other/escaped.txt", "exactly one folder"),
    ],
)
def test_an_archive_that_reaches_outside_its_folder_is_refused(tmp_path: Path, path: str, reason: str) -> None:
    archive = archive_of(tmp_path / "a", {**FILES, path: b"out"})
    with pytest.raises(ImportFailed, match=reason):
        import_package(archive, tmp_path / "repositories")
    assert list((tmp_path / "repositories").iterdir()) == []


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "tiny-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("tiny-1.0/tiny.py"))
        link = tarfile.TarInfo("tiny-1.0/passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../etc/passwd"
        tar.addfile(link)
    with pytest.raises(ImportFailed, match="cannot be unpacked"):
        import_package(archive, tmp_path / "repositories")
    assert list((tmp_path / "repositories").iterdir()) == []


def test_what_is_no_archive_gets_a_reason(tmp_path: Path) -> None:
    broken = tmp_path / "tiny-1.0.tar.gz"
    broken.write_bytes(b"not gzip")
    with pytest.raises(ImportFailed, match="cannot be unpacked"):
        import_package(broken, tmp_path)
    with pytest.raises(ImportFailed, match="not named like a source distribution"):
        import_package(tmp_path / "tiny.zip", tmp_path)


def test_the_five_packages_import_to_the_known_commits(tmp_path: Path) -> None:
    try:
        archives = fetch_packages(tmp_path / "packages")
    except DemoUnavailable as exc:
        if "cannot be reached" in exc.message:
            pytest.skip(exc.message)
        raise
    assert list(archives) == [package.name for package in PACKAGES]
    origins = {name: import_package(archive, tmp_path / "repositories") for name, archive in archives.items()}
    assert {name: git(origin, "rev-parse", "main") for name, origin in origins.items()} == IMPORTED
