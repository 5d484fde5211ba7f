"""Mirror, worktrees and saved work, against whatever a killed engine or a careless executor leaves behind."""

import multiprocessing
import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from devteam.adapters.git import GitError, GitErrorKind, Mirror, push_branch
from devteam.adapters.git.store import EXCLUDED
from tests.integration.git_projects import ENVIRONMENT, WHEN, Customer, commit_files, git, make_customer

REF = "refs/devteam/attempts/7/work"
BRANCH = "task/7-say-hello"


@pytest.fixture
def customer(tmp_path: Path) -> Customer:
    return make_customer(tmp_path)


@pytest.fixture
def mirror(customer: Customer, tmp_path: Path) -> Mirror:
    return customer.mirror(tmp_path / "mirrors" / "shop.git")


@pytest.fixture
def base(mirror: Mirror) -> str:
    return mirror.head("main")


@pytest.fixture
def work(mirror: Mirror, base: str, tmp_path: Path) -> Path:
    path = tmp_path / "work" / "7"
    mirror.make_worktree(path, BRANCH, base)
    return path


def save(mirror: Mirror, work: Path, base: str, ref: str = REF) -> str | None:
    return mirror.snapshot(work, base=base, message="Work\n", ref=ref, author_date=WHEN)


def files_of(mirror: Mirror, commit: str) -> set[str]:
    return set(
        git(mirror.path, "-c", "core.quotePath=false", "ls-tree", "-r", "-z", "--name-only", commit).split("\0")
    ) - {""}


def content(mirror: Mirror, commit: str, name: str) -> str:
    return git(mirror.path, "show", f"{commit}:{name}")


# --- fetch ---


def test_fetch_follows_the_customer_and_forgets_removed_branches(customer: Customer, mirror: Mirror) -> None:
    git(customer.clone, "push", "--quiet", "origin", "HEAD:old")
    mirror.fetch()
    assert mirror.head("old") == customer.head()
    git(customer.clone, "push", "--quiet", "origin", ":old")
    new = customer.commit({"README.md": "Hello again\n"})
    mirror.fetch()
    assert mirror.head("main") == new
    with pytest.raises(GitError) as error:
        mirror.head("old")
    assert error.value.kind is GitErrorKind.BRANCH_NOT_FOUND


def test_fetch_follows_a_rewritten_branch(customer: Customer, mirror: Mirror) -> None:
    git(customer.clone, "commit", "--quiet", "--amend", "--message", "Rewritten")
    git(customer.clone, "push", "--quiet", "--force", "origin", "main")
    mirror.fetch()
    assert mirror.head("main") == customer.head()


def test_fetch_of_a_repository_that_is_gone_says_so_and_keeps_the_mirror(
    customer: Customer, mirror: Mirror, base: str
) -> None:
    customer.bare.rename(customer.bare.with_name("moved.git"))
    with pytest.raises(GitError) as error:
        mirror.fetch()
    assert error.value.kind is GitErrorKind.REPOSITORY_NOT_FOUND
    assert mirror.head("main") == base


@pytest.mark.parametrize("lost", ["HEAD", "config", "refs", "objects/info", "info"])
def test_a_half_made_mirror_is_completed(mirror: Mirror, customer: Customer, lost: str) -> None:
    target = mirror.path / lost
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    mirror.fetch()
    assert mirror.head("main") == customer.head()


def test_leftovers_of_a_killed_first_fetch_do_not_matter(customer: Customer, tmp_path: Path) -> None:
    path = tmp_path / "m" / "shop.git"
    (path.with_name("shop.git.new") / "objects").mkdir(parents=True)
    (path / "objects" / "pack").mkdir(parents=True)
    (path / "objects" / "pack" / "tmp_pack_x").write_bytes(b"half")
    (path / "HEAD").write_bytes(b"")
    assert customer.mirror(path).head("main") == customer.head()


def test_a_mirror_with_damaged_objects_is_fetched_anew_and_keeps_saved_work(
    customer: Customer, mirror: Mirror, work: Path, base: str
) -> None:
    (work / "new.txt").write_text("new")
    saved = save(mirror, work, base)
    assert saved is not None
    blob = git(mirror.path, "rev-parse", f"{base}:README.md")
    victim = _loose_file(mirror, blob)
    victim.chmod(0o600)
    victim.write_bytes(b"")
    customer.commit({"src/app.py": "print('three')\n"})
    tip = git(mirror.path, "rev-parse", "refs/remotes/origin/main")
    broken = _loose_file(mirror, tip)
    broken.chmod(0o600)
    broken.write_bytes(b"")
    mirror.fetch()
    assert mirror.head("main") == customer.head()
    assert git(mirror.path, "fsck", "--connectivity-only") == ""
    mirror.make_worktree(work, BRANCH, mirror.head("main"))
    assert (work / "src/app.py").read_text() == "print('three')\n"


def _loose_file(mirror: Mirror, sha: str) -> Path:
    return mirror.path / "objects" / sha[:2] / sha[2:]


@pytest.mark.parametrize("lock", ["packed-refs.lock", "refs/remotes/origin/main.lock", "config.lock", "HEAD.lock"])
def test_lock_files_of_a_killed_git_are_removed(customer: Customer, mirror: Mirror, lock: str) -> None:
    customer.commit({"README.md": "More\n"})
    (mirror.path / lock).parent.mkdir(parents=True, exist_ok=True)
    (mirror.path / lock).write_text("")
    mirror.fetch()
    assert mirror.head("main") == customer.head()
    assert not (mirror.path / lock).exists()


def test_a_lock_file_stays_while_a_git_of_the_executor_works_there(mirror: Mirror, work: Path) -> None:
    lock = mirror.path / "refs" / "heads" / "someone.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    busy = subprocess.Popen(
        ["git", "cat-file", "--batch-check"],
        cwd=work, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
    )  # fmt: skip
    assert busy.stdin is not None
    assert busy.stdout is not None
    busy.stdin.write(b"HEAD\n")
    assert b"commit" in busy.stdout.readline()  # it is up and at work
    try:
        lock.write_text("")
        mirror.fetch()
        assert lock.exists()
    finally:
        busy.stdin.close()
        busy.stdout.close()
        busy.wait()
    mirror.fetch()
    assert not lock.exists()


def _fetch_forever(path: Path, repository: str) -> None:
    while True:
        Mirror(path, repository).fetch()


def test_fetch_killed_at_any_moment_can_be_run_again(customer: Customer, tmp_path: Path) -> None:
    path = tmp_path / "m" / "shop.git"
    context = multiprocessing.get_context("spawn")
    for delay in (0.0, 0.02, 0.05, 0.1, 0.15):
        process = context.Process(target=_fetch_forever, args=(path, str(customer.bare)))
        process.start()
        deadline = time.monotonic() + 20
        while not path.with_name("shop.git.in-use").exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        head = customer.commit({"README.md": f"{delay}\n"})
        mirror = customer.mirror(path)
        assert mirror.head("main") == head
        shutil.rmtree(path.parent)


def _work_forever(path: Path, repository: str, work: Path) -> None:
    while True:
        _work_once(path, repository, work)


def _work_once(path: Path, repository: str, work: Path) -> str:
    """A whole task, from the first fetch to the pushed branch."""
    mirror = Mirror(path, repository)
    mirror.fetch()
    base = mirror.head("main")
    mirror.make_worktree(work, BRANCH, base)
    (work / "new.txt").write_text("new\n")
    saved = save(mirror, work, base)
    assert saved is not None
    push_branch(mirror, saved, BRANCH)
    mirror.remove_worktree(work)
    return saved


def test_a_whole_task_killed_at_any_moment_ends_in_the_same_commit(customer: Customer, tmp_path: Path) -> None:
    path, work = tmp_path / "m" / "shop.git", tmp_path / "w"
    expected = _work_once(tmp_path / "calm.git", str(customer.bare), tmp_path / "calm")
    context = multiprocessing.get_context("spawn")
    for round_ in range(8):
        git(customer.bare, "update-ref", "-d", f"refs/heads/{BRANCH}")
        shutil.rmtree(path.parent, ignore_errors=True)
        process = context.Process(target=_work_forever, args=(path, str(customer.bare), work))
        process.start()
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(round_ * 0.037)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert _work_once(path, str(customer.bare), work) == expected
        assert customer.head(BRANCH) == expected
        assert git(path, "fsck", "--connectivity-only", "--no-dangling") == ""


def test_two_users_of_a_mirror_take_turns(customer: Customer, tmp_path: Path) -> None:
    path = tmp_path / "m" / "shop.git"
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=customer.mirror, args=(path,)) for _ in range(2)]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0, 0]


def test_settings_that_an_executor_wrote_into_the_mirror_are_put_back(mirror: Mirror, work: Path, base: str) -> None:
    marker = work.parent / "ran"
    git(work, "config", "filter.evil.clean", f"touch {marker}; cat")
    git(work, "config", "core.fsmonitor", f"touch {marker}")
    (mirror.path / "info" / "attributes").write_text("* filter=evil\n")
    (work / ".gitattributes").write_text("* filter=evil\n")
    (work / "new.txt").write_text("new")
    saved = save(mirror, work, base)
    assert saved is not None
    git(work, "config", "extensions.partialClone", "evil")
    git(work, "config", "remote.evil.url", str(mirror.repository))
    git(work, "config", "remote.evil.promisor", "true")
    git(work, "config", "remote.evil.uploadpack", f"touch {marker};")
    with pytest.raises(GitError):
        mirror.diff(saved, "1" * 40)
    mirror.fetch()
    assert not marker.exists()


# --- worktrees ---


def test_a_worktree_holds_the_commit_on_its_branch(work: Path, base: str) -> None:
    assert git(work, "rev-parse", "HEAD") == base
    assert git(work, "symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert git(work, "status", "--porcelain") == ""
    assert (work / "src/app.py").read_text().startswith("print('one')")


def test_an_executor_can_commit_in_its_worktree_without_settings_of_its_own(work: Path) -> None:
    (work / "x").write_text("x")
    git(work, "add", "x")
    subprocess.run(
        ["git", "commit", "-qm", "x"],
        cwd=work,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        check=True,
    )
    assert git(work, "log", "-1", "--format=%an") == "DevTeam"


def test_making_a_worktree_again_gives_the_wanted_commit_and_nothing_else(
    customer: Customer, mirror: Mirror, work: Path, base: str
) -> None:
    inode = work.stat().st_ino
    commit_files(work, {"README.md": "mine\n", "extra/deep.txt": "x"})
    (work / ".gitignore").write_text("junk\n")
    (work / "junk").write_text("x")
    (work / "locked").mkdir()
    (work / "locked" / "file").write_text("x")
    (work / "locked").chmod(0o500)
    Path(git(work, "rev-parse", "--absolute-git-dir"), "index.lock").write_text("")
    mirror.make_worktree(work, BRANCH, base)
    assert git(work, "status", "--porcelain", "--ignored") == ""
    assert git(work, "rev-parse", "HEAD") == base
    assert git(mirror.path, "rev-parse", f"refs/heads/{BRANCH}") == base
    assert work.stat().st_ino == inode
    newer = customer.commit({"README.md": "Newer\n"})
    mirror.fetch()
    mirror.make_worktree(work, "task/7-other-title", newer)
    assert git(work, "rev-parse", "HEAD") == newer
    assert (work / "README.md").read_text() == "Newer\n"
    assert git(mirror.path, "worktree", "list").count(str(work)) == 1


def test_what_an_executor_hides_is_put_right_in_place_and_the_rest_is_left_alone(
    customer: Customer, mirror: Mirror, tmp_path: Path
) -> None:
    base = customer.commit({"deep/one.txt": "one\n", "deep/two.txt": "two\n", "mode.txt": "x\n", "same.txt": "same\n"})
    mirror.fetch()
    work, outside = tmp_path / "hidden", tmp_path / "outside"
    outside.mkdir()
    (outside / "one.txt").write_text("out\n")
    mirror.make_worktree(work, BRANCH, base)
    untouched = (work / "README.md").stat().st_ino
    times = (work / "same.txt").stat()
    (work / "same.txt").write_text("SAME\n")
    os.utime(work / "same.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    (work / "mode.txt").chmod(0o4777)
    os.link(work / "src" / "app.py", work / "linked")
    shutil.rmtree(work / "deep")
    (work / "deep").symlink_to(outside)
    os.mkfifo(work / "pipe")
    (work / "nested").mkdir()
    git(work / "nested", "init", "--quiet")
    (work / ".gitignore").write_text("cache\n")
    (work / "cache").mkdir()
    (work / "cache" / "big").write_text("x")

    mirror.make_worktree(work, BRANCH, base)
    assert git(work, "status", "--porcelain", "--ignored") == ""
    assert sorted(str(file.relative_to(work)) for file in work.rglob("*") if not file.is_dir()) == sorted(
        [".git", *git(work, "ls-files").splitlines()]
    )
    assert (work / "same.txt").read_text() == "same\n"
    assert (work / "deep" / "one.txt").read_text() == "one\n"
    assert (outside / "one.txt").read_text() == "out\n"
    assert stat.S_IMODE((work / "mode.txt").stat().st_mode) == 0o644
    assert (work / "src" / "app.py").stat().st_nlink == 1
    assert (work / "README.md").stat().st_ino == untouched


def test_a_change_that_keeps_size_and_time_of_a_file_is_saved(mirror: Mirror, work: Path, base: str) -> None:
    file = work / "README.md"
    before = file.stat()
    file.write_text(file.read_text().swapcase())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    saved = save(mirror, work, base)
    assert git(mirror.path, "show", f"{saved}:README.md") == file.read_text().strip()


def test_attributes_of_the_executor_count_for_every_file(mirror: Mirror, work: Path, base: str) -> None:
    (work / ".gitattributes").write_text("* text eol=lf\n")
    (work / "windows.txt").write_bytes(b"one\r\n")
    saved = save(mirror, work, base)
    assert git(mirror.path, "cat-file", "-s", f"{saved}:windows.txt") == "4"


@pytest.mark.parametrize(
    "damage", ["folder", "git_file", "git_is_folder", "registration", "half_registration", "symlink"]
)
def test_a_worktree_spoiled_by_a_kill_is_made_again(mirror: Mirror, work: Path, base: str, damage: str) -> None:
    registration = Path(git(work, "rev-parse", "--absolute-git-dir"))
    match damage:
        case "folder":
            shutil.rmtree(work)
        case "git_file":
            (work / ".git").unlink()
        case "git_is_folder":
            (work / ".git").unlink()
            git(work, "init", "--quiet")
        case "registration":
            shutil.rmtree(registration)
        case "half_registration":
            (registration / "HEAD").write_text("garbage")
            (registration / "locked").write_text("initializing")
            (registration / "commondir").unlink()
        case "symlink":
            work.rename(work.with_name("elsewhere"))
            work.symlink_to(work.with_name("elsewhere"))
    mirror.make_worktree(work, BRANCH, base)
    assert not work.is_symlink()
    assert git(work, "rev-parse", "HEAD") == base
    assert git(work, "status", "--porcelain") == ""
    if damage == "symlink":
        assert (work.with_name("elsewhere") / "README.md").exists()


def test_a_branch_held_by_a_lost_worktree_can_be_taken(mirror: Mirror, work: Path, base: str) -> None:
    mirror.make_worktree(work.with_name("8"), BRANCH, base)
    assert git(work.with_name("8"), "symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"


def test_reset_goes_back_to_the_wanted_commit_on_the_own_branch(mirror: Mirror, work: Path, base: str) -> None:
    git(work, "checkout", "--quiet", "-b", "of-the-executor")
    theirs = commit_files(work, {"README.md": "mine\n"})
    (work / "junk.txt").write_text("x")
    (work / ".git").unlink()
    mirror.reset_worktree(work, base)
    assert git(work, "symbolic-ref", "HEAD") == f"refs/heads/{BRANCH}"
    assert git(work, "rev-parse", "HEAD") == base
    assert git(work, "status", "--porcelain") == ""
    assert git(mirror.path, "rev-parse", "of-the-executor") == theirs
    with pytest.raises(GitError):
        mirror.reset_worktree(work.with_name("unknown"), base)


def test_removing_a_worktree_twice_is_fine_and_keeps_saved_work(mirror: Mirror, work: Path, base: str) -> None:
    (work / "new.txt").write_text("new")
    saved = save(mirror, work, base)
    for _ in range(2):
        mirror.remove_worktree(work)
    assert not work.exists()
    assert str(work) not in git(mirror.path, "worktree", "list")
    assert git(mirror.path, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/devteam") == REF
    assert git(mirror.path, "rev-parse", REF) == saved


def test_a_start_commit_that_does_not_exist_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(GitError):
        mirror.make_worktree(tmp_path / "w", BRANCH, "0" * 39 + "1")
    for name in ("--detach", "-b", "HEAD"):
        with pytest.raises(GitError):
            mirror.make_worktree(tmp_path / "w", name, "1" * 40)


# --- saving ---


def test_a_snapshot_is_one_commit_on_the_base_and_the_same_each_time(mirror: Mirror, work: Path, base: str) -> None:
    (work / "new.txt").write_text("new\n")
    (work / "README.md").unlink()
    first = save(mirror, work, base)
    assert first is not None
    assert save(mirror, work, base) == first
    assert git(mirror.path, "rev-parse", REF, f"{first}^") == f"{first}\n{base}"
    assert files_of(mirror, first) == {"src/app.py", "new.txt"}
    assert git(mirror.path, "log", "-1", "--format=%an <%ae> %at %ct", first) == (
        f"DevTeam <devteam@localhost> {int(WHEN.timestamp())} {int(WHEN.timestamp())}"
    )


def test_the_same_work_in_another_mirror_has_the_same_hash(
    customer: Customer, mirror: Mirror, work: Path, base: str, tmp_path: Path
) -> None:
    other, elsewhere = customer.mirror(tmp_path / "other.git"), tmp_path / "elsewhere"
    other.make_worktree(elsewhere, BRANCH, base)
    for folder in (work, elsewhere):
        (folder / "new.txt").write_text("new\n")
    assert save(mirror, work, base) == save(other, elsewhere, base)


def test_unchanged_files_give_no_snapshot(mirror: Mirror, work: Path, base: str) -> None:
    (work / "src" / "__pycache__").mkdir()
    (work / "src" / "__pycache__" / "app.pyc").write_bytes(b"x")
    assert save(mirror, work, base) is None
    assert git(mirror.path, "for-each-ref", REF) == ""


def test_ignored_files_are_left_out_but_tracked_ones_are_not(customer: Customer, mirror: Mirror, work: Path) -> None:
    (customer.clone / ".gitignore").write_text("*.log\n")
    (customer.clone / "kept.log").write_text("one\n")
    git(customer.clone, "add", "--force", ".gitignore", "kept.log")
    base = _commit_and_push(customer)
    mirror.fetch()
    mirror.make_worktree(work, BRANCH, base)
    (work / "kept.log").write_text("two\n")
    (work / "other.log").write_text("x")
    for folder in (name.strip("/") for name in EXCLUDED if name.endswith("/") and "*" not in name):
        (work / folder).mkdir()
        (work / folder / "x").write_text("x")
    saved = save(mirror, work, base)
    assert saved is not None
    assert files_of(mirror, saved) == {"README.md", "src/app.py", ".gitignore", "kept.log"}
    assert content(mirror, saved, "kept.log") == "two"


def _commit_and_push(customer: Customer) -> str:
    git(customer.clone, "commit", "--quiet", "--message", "Ignore")
    git(customer.clone, "push", "--quiet", "origin", "HEAD")
    return customer.head()


def test_commits_of_the_executor_count_by_their_files(mirror: Mirror, work: Path, base: str) -> None:
    (work / "new.txt").write_text("new\n")
    plain = save(mirror, work, base)
    commit_files(work, {"step.txt": "1"})
    git(work, "rm", "--quiet", "step.txt")
    git(work, "commit", "--quiet", "--message", "Undo")
    assert save(mirror, work, base) == plain


@pytest.mark.parametrize(
    "damage", ["git_file", "git_is_repository", "index_lock", "index", "head", "registration", "config"]
)
def test_what_happened_to_the_git_files_does_not_matter(mirror: Mirror, work: Path, base: str, damage: str) -> None:
    (work / "new.txt").write_text("new\n")
    plain = save(mirror, work, base)
    registration = Path(git(work, "rev-parse", "--absolute-git-dir"))
    match damage:
        case "git_file":
            (work / ".git").unlink()
        case "git_is_repository":
            (work / ".git").unlink()
            git(work, "init", "--quiet")
            git(work, "add", "--all")
            git(work, "commit", "--quiet", "--message", "Mine")
        case "index_lock":
            (registration / "index.lock").write_text("")
        case "index":
            (registration / "index").write_bytes(b"garbage")
        case "head":
            (registration / "HEAD").write_text("garbage")
        case "registration":
            shutil.rmtree(registration)
        case "config":
            (mirror.path / "config").write_text("[core\n")
    assert save(mirror, work, base) == plain


def test_a_nested_repository_is_saved_as_its_files(mirror: Mirror, work: Path, base: str) -> None:
    (work / ".gitignore").write_text("*.log\n/vendor/\n")
    for name in ("empty", "tool", "vendor/lib", "src"):
        (work / name).mkdir(parents=True, exist_ok=True)
        git(work / name, "init", "--quiet")
    commit_files(work / "tool", {"main.c": "int x;\n"})
    (work / "tool" / ".gitignore").write_text("*.o\n")
    (work / "tool" / "inner").mkdir()
    git(work / "tool" / "inner", "init", "--quiet")
    for name in (
        "tool/loose.c",
        "tool/a.o",
        "tool/a.log",
        "tool/inner/deep.c",
        "vendor/lib/v.c",
        "src/more.py",
    ):
        (work / name).write_text("x")
    saved = save(mirror, work, base)
    assert saved is not None
    assert files_of(mirror, saved) == {
        ".gitignore", "README.md", "src/app.py", "src/more.py",
        "tool/.gitignore", "tool/main.c", "tool/loose.c", "tool/inner/deep.c",
    }  # fmt: skip
    assert "160000" not in git(mirror.path, "ls-tree", "-r", saved)
    assert save(mirror, work, base) == saved


def test_submodules_of_the_project_stay_submodules(tmp_path: Path, customer: Customer, mirror: Mirror) -> None:
    link = customer.head()
    git(customer.clone, "update-index", "--add", "--cacheinfo", f"160000,{link},lib")
    base = _commit_and_push(customer)
    mirror.fetch()
    work = tmp_path / "w"
    mirror.make_worktree(work, BRANCH, base)
    assert save(mirror, work, base) is None


def test_strange_names_and_bytes_survive(mirror: Mirror, work: Path, base: str) -> None:
    names = [
        b"caf\xe9.txt",
        b"two\nlines.txt",
        b"-rf",
        b"--help",
        b":(exclude)x",
        b"sp ace\t",
        b"*.glob",
        b'quo"te',
        "ü→.txt".encode(),
    ]
    for name in names:
        with open(os.path.join(os.fsencode(work), name), "wb") as file:
            file.write(b"\xff\xfe line\n")
    saved = save(mirror, work, base)
    assert saved is not None
    stored = mirror.read("ls-tree", "-r", "-z", "--name-only", saved).items
    assert set(names) <= set(stored)
    stat = {entry.path: entry for entry in mirror.diff_stat(base, saved)}
    assert stat["two\nlines.txt"].added == 1
    assert "caf\ufffd.txt" in stat
    assert "\ufffd line" in mirror.diff(base, saved).text
    mirror.reset_worktree(work, saved)
    assert set(names) <= set(os.listdir(os.fsencode(work)))
    with open(os.path.join(os.fsencode(work), names[0]), "rb") as file:
        assert file.read() == b"\xff\xfe line\n"


def test_symlinks_and_executable_bits_are_kept(mirror: Mirror, work: Path, base: str) -> None:
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("/etc/passwd")
    (work / "folder-link").symlink_to("src")
    saved = save(mirror, work, base)
    assert saved is not None
    mirror.reset_worktree(work, base)
    mirror.reset_worktree(work, saved)
    assert os.access(work / "run.sh", os.X_OK)
    assert not os.access(work / "README.md", os.X_OK)
    assert os.readlink(work / "link") == "/etc/passwd"
    assert os.readlink(work / "folder-link") == "src"
    assert "root:" not in mirror.diff(base, saved).text


def test_files_and_folders_may_change_places(mirror: Mirror, work: Path, base: str) -> None:
    shutil.rmtree(work / "src")
    (work / "src").write_text("a file now")
    (work / "README.md").unlink()
    (work / "README.md").mkdir()
    (work / "README.md" / "part").write_text("x")
    saved = save(mirror, work, base)
    assert saved is not None
    assert files_of(mirror, saved) == {"src", "README.md/part"}
    mirror.reset_worktree(work, base)
    assert (work / "README.md").is_file()


def test_an_emptied_worktree_can_be_saved(mirror: Mirror, work: Path, base: str) -> None:
    for entry in work.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    saved = save(mirror, work, base)
    assert saved is not None
    assert files_of(mirror, saved) == set()


def test_pipes_and_sockets_are_passed_over(mirror: Mirror, work: Path, base: str) -> None:
    os.mkfifo(work / "pipe")
    (work / "new.txt").write_text("x")
    saved = save(mirror, work, base)
    assert saved is not None
    assert "pipe" not in files_of(mirror, saved)


def test_salvage_saves_what_can_be_read_on_the_start_commit(mirror: Mirror, work: Path, base: str) -> None:
    (work / ".gitattributes").write_text("*.u16 working-tree-encoding=UTF-16\n")
    (work / "bad.u16").write_bytes(b"\x00")
    (work / "good.txt").write_text("good\n")
    (work / ".git").unlink()
    with pytest.raises(GitError):
        save(mirror, work, base)
    saved = mirror.salvage(work, "refs/devteam/salvage/7", "Partial work", WHEN)
    assert saved is not None
    assert saved == git(mirror.path, "rev-parse", "refs/devteam/salvage/7")
    assert git(mirror.path, "rev-parse", f"{saved}^") == base
    assert files_of(mirror, saved) == {".gitattributes", "README.md", "bad.u16", "good.txt", "src/app.py"}
    mirror.reset_worktree(work, base)
    assert mirror.salvage(work, "refs/devteam/salvage/7", "Partial work", WHEN) is None


def test_two_thousand_files_are_quick(tmp_path: Path) -> None:
    files = {f"pkg{n % 40}/module{n}.py": f"value = {n}\n" for n in range(2000)}
    mirror = make_customer(tmp_path, files).mirror(tmp_path / "m.git")
    base, work = mirror.head("main"), tmp_path / "w"
    started = time.monotonic()
    mirror.make_worktree(work, BRANCH, base)
    for n in range(0, 2000, 20):
        (work / f"pkg{n % 40}/module{n}.py").write_text("value = -1\n")
    saved = save(mirror, work, base)
    assert saved is not None
    assert len(mirror.diff_stat(base, saved)) == 100
    mirror.reset_worktree(work, base)
    assert time.monotonic() - started < 30


# --- looking ---


def test_diff_shows_renames_and_names_binary_files(mirror: Mirror, work: Path, base: str) -> None:
    (work / "src" / "app.py").rename(work / "src" / "main.py")
    (work / "README.md").write_text("Hello\nWorld\n")
    (work / "logo.png").write_bytes(bytes(range(256)))
    saved = save(mirror, work, base)
    assert saved is not None
    diff = mirror.diff(base, saved)
    assert not diff.truncated
    assert "rename from src/app.py\nrename to src/main.py" in diff.text
    assert "+World" in diff.text
    assert "Binary files /dev/null and b/logo.png differ" in diff.text
    assert mirror.diff_stat(base, saved) == [("README.md", 1, 0), ("logo.png", 0, 0), ("src/main.py", 0, 0)]


def test_a_long_diff_is_cut_and_says_so(mirror: Mirror, work: Path, base: str) -> None:
    (work / "long.txt").write_text("line\n" * 200_000)
    saved = save(mirror, work, base)
    assert saved is not None
    diff = mirror.diff(base, saved, limit=1000)
    assert diff.truncated
    assert len(diff.text) == 1000
    assert mirror.diff_stat(base, saved) == [("long.txt", 200_000, 0)]
    with pytest.raises(GitError):
        mirror.diff(base, "1" * 40)
