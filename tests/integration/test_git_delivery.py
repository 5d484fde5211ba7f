"""Delivering saved work: messages, commits, rebases, pushes and taking back, each safe to run twice."""

import os
from pathlib import Path

import pytest

from devteam.adapters.git import (
    Conflict,
    GitError,
    GitErrorKind,
    Mirror,
    commit_message,
    find_by_trailer,
    is_ancestor,
    make_delivery_commit,
    merge_commit,
    push_base,
    push_branch,
    rebase_onto,
    remote_head,
    revert_commit,
)
from tests.integration.git_projects import WHEN, Customer, git, make_customer

TASK = "0199aaaa-0000-7000-8000-00001234abcd"
BRANCH = "task/7-say-hello"
MESSAGE = commit_message(TASK, "Say hello", "", {"DevTeam-Attempt": "a1", "DevTeam-Executor": "command"})


@pytest.fixture
def customer(tmp_path: Path) -> Customer:
    return make_customer(tmp_path)


@pytest.fixture
def mirror(customer: Customer, tmp_path: Path) -> Mirror:
    return customer.mirror(tmp_path / "mirror.git")


@pytest.fixture
def base(mirror: Mirror) -> str:
    return mirror.head("main")


def do_work(mirror: Mirror, base: str, files: dict[str, str], name: str = "work") -> str:
    path = mirror.path.parent / name
    mirror.make_worktree(path, f"task/{name}", base)
    for file, text in files.items():
        (path / file).write_text(text)
    saved = mirror.snapshot(path, base=base, message="Work", ref=f"refs/devteam/attempts/{name}/work", author_date=WHEN)
    assert saved is not None
    return saved


def show(mirror: Mirror, commit: str, name: str) -> str:
    return git(mirror.path, "show", f"{commit}:{name}")


def parents(mirror: Mirror, commit: str) -> list[str]:
    return git(mirror.path, "log", "-1", "--format=%P", commit).split()


def tree(mirror: Mirror, commit: str) -> str:
    return git(mirror.path, "rev-parse", f"{commit}^{{tree}}")


# --- messages ---


def test_a_message_has_subject_wrapped_body_and_trailers() -> None:
    message = commit_message(
        TASK,
        "Say\nhello  to\tall",
        "word " * 40 + "\n\n- item\n\x00",
        {"DevTeam-Attempt": "a1\nDevTeam-Task: forged"},
    )
    lines = message.splitlines()
    assert lines[0] == "Task 1234abcd: Say hello to all"
    assert max(map(len, lines)) <= 100
    assert all(len(line) <= 72 for line in lines[1:-2])
    assert lines[-2:] == [f"DevTeam-Task: {TASK}", "DevTeam-Attempt: a1 DevTeam-Task: forged"]
    assert "- item" in lines


def test_a_long_title_is_cut_at_72_characters() -> None:
    subject = commit_message(TASK, "é" * 100, "", {}).splitlines()[0]
    assert len(subject) == 72
    assert subject.endswith("…")


# --- commits ---


def test_a_delivery_commit_is_the_same_each_time(mirror: Mirror, base: str) -> None:
    work = do_work(mirror, base, {"new.txt": "new\n"})
    delivery = make_delivery_commit(mirror, work, base, MESSAGE, WHEN)
    assert make_delivery_commit(mirror, work, base, MESSAGE, WHEN) == delivery
    assert parents(mirror, delivery) == [base]
    assert tree(mirror, delivery) == tree(mirror, work)
    assert git(mirror.path, "log", "-1", "--format=%B", delivery) == MESSAGE.strip()


def test_a_clean_rebase_keeps_both_sides_names_and_modes(customer: Customer, mirror: Mirror, base: str) -> None:
    path = mirror.path.parent / "work"
    mirror.make_worktree(path, "task/work", base)
    with open(os.path.join(os.fsencode(path), b"caf\xe9\n.txt"), "wb") as file:
        file.write(b"\xff\n")
    (path / "run.sh").write_text("x")
    (path / "run.sh").chmod(0o755)
    (path / "link").symlink_to("README.md")
    (path / "src" / "app.py").write_text("print('ONE')\nprint('two')\n")
    work = mirror.snapshot(path, base=base, message="Work", ref="refs/devteam/w", author_date=WHEN)
    assert work is not None
    (customer.clone / "src" / "app.py").rename(customer.clone / "src" / "main.py")
    moved = customer.commit({"README.md": "Hello there\n"})
    mirror.fetch()
    rebased = rebase_onto(mirror, work, base, moved, MESSAGE, WHEN)
    assert isinstance(rebased, str)
    assert rebase_onto(mirror, work, base, moved, MESSAGE, WHEN) == rebased
    assert parents(mirror, rebased) == [moved]
    assert show(mirror, rebased, "README.md") == "Hello there"
    assert show(mirror, rebased, "src/main.py").startswith("print('ONE')")  # follows the customer's rename
    listing = mirror.read("ls-tree", "-r", "-z", rebased).items
    assert any(item.startswith(b"100755") and item.endswith(b"run.sh") for item in listing)
    assert any(item.startswith(b"120000") and item.endswith(b"link") for item in listing)
    assert any(item.endswith(b"caf\xe9\n.txt") for item in listing)
    assert list((mirror.path / "devteam" / "scratch").iterdir()) == []


def test_a_conflicting_rebase_names_the_files(customer: Customer, mirror: Mirror, base: str) -> None:
    work = do_work(mirror, base, {"README.md": "ours\n", "src/app.py": "ours\n", "new.txt": "x"})
    git(customer.clone, "rm", "--quiet", "src/app.py")
    moved = customer.commit({"README.md": "theirs\n"})
    mirror.fetch()
    assert rebase_onto(mirror, work, base, moved, MESSAGE, WHEN) == Conflict(("README.md", "src/app.py"))


def test_rebasing_work_that_is_already_there_answers_the_new_base(
    customer: Customer, mirror: Mirror, base: str
) -> None:
    work = do_work(mirror, base, {"README.md": "same\n"})
    moved = customer.commit({"README.md": "same\n", "more.txt": "x"})
    mirror.fetch()
    assert rebase_onto(mirror, work, base, moved, MESSAGE, WHEN) == moved


def test_a_merge_commit_joins_branch_and_delivery(customer: Customer, mirror: Mirror, base: str) -> None:
    work = do_work(mirror, base, {"new.txt": "new\n"})
    delivery = make_delivery_commit(mirror, work, base, MESSAGE, WHEN)
    merged = merge_commit(mirror, base, delivery, "Merge", WHEN)
    assert merge_commit(mirror, base, delivery, "Merge", WHEN) == merged
    assert parents(mirror, merged) == [base, delivery]
    assert tree(mirror, merged) == tree(mirror, delivery)
    moved = customer.commit({"README.md": "moved\n"})
    mirror.fetch()
    with pytest.raises(GitError) as error:
        merge_commit(mirror, moved, delivery, "Merge", WHEN)
    assert error.value.kind is GitErrorKind.CONFLICT


def test_a_rebase_in_a_repository_with_a_submodule_keeps_it(customer: Customer, mirror: Mirror) -> None:
    link = customer.head()
    git(customer.clone, "update-index", "--add", "--cacheinfo", f"160000,{link},lib")
    (customer.clone / "lib").mkdir()
    base = customer.commit({"src/b.py": "b\n"})
    mirror.fetch()
    work = do_work(mirror, base, {"new.txt": "x"})
    moved = customer.commit({"README.md": "moved\n"})
    mirror.fetch()
    rebased = rebase_onto(mirror, work, base, moved, MESSAGE, WHEN)
    assert isinstance(rebased, str)
    assert f"160000 commit {link}\tlib" in git(mirror.path, "ls-tree", rebased)


# --- pushing a task's branch ---


def test_pushing_a_branch_twice_is_done_once(customer: Customer, mirror: Mirror, base: str) -> None:
    delivery = do_work(mirror, base, {"new.txt": "new\n"})
    push_branch(mirror, delivery, BRANCH)
    log = customer.bare / "pushes"
    hook = customer.bare / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho push >> {log}\n")
    hook.chmod(0o755)
    push_branch(mirror, delivery, BRANCH)
    assert customer.head(BRANCH) == delivery
    assert not log.exists()
    better = do_work(mirror, base, {"new.txt": "better\n"})
    push_branch(mirror, better, BRANCH)
    assert customer.head(BRANCH) == better
    assert log.read_text() == "push\n"


def test_a_branch_with_somebody_elses_work_is_not_replaced(customer: Customer, mirror: Mirror, base: str) -> None:
    delivery = do_work(mirror, base, {"new.txt": "new\n"})
    push_branch(mirror, delivery, BRANCH)
    git(customer.clone, "push", "--quiet", "--force", "origin", f"HEAD:{BRANCH}")
    better = do_work(mirror, base, {"new.txt": "better\n"})
    with pytest.raises(GitError) as error:
        push_branch(mirror, better, BRANCH)
    assert error.value.kind is GitErrorKind.PUSH_REJECTED
    assert "not DevTeam's" in error.value.message
    assert customer.head(BRANCH) == base


def test_a_push_cut_off_before_its_record_is_known_as_ours(customer: Customer, mirror: Mirror, base: str) -> None:
    first = do_work(mirror, base, {"new.txt": "one\n"})
    second = do_work(mirror, base, {"new.txt": "two\n"})
    push_branch(mirror, first, BRANCH)
    git(mirror.path, "update-ref", "-d", f"refs/devteam/pushed/{BRANCH}/done")
    push_branch(mirror, second, BRANCH)
    assert customer.head(BRANCH) == second


def test_another_worker_replaces_a_branch_when_told_the_earlier_value(
    customer: Customer, mirror: Mirror, base: str, tmp_path: Path
) -> None:
    first = do_work(mirror, base, {"new.txt": "one\n"})
    push_branch(mirror, first, BRANCH)
    other = customer.mirror(tmp_path / "other" / "mirror.git")
    second = do_work(other, base, {"new.txt": "two\n"})
    with pytest.raises(GitError):
        push_branch(other, second, BRANCH)
    push_branch(other, second, BRANCH, earlier=[first])
    assert customer.head(BRANCH) == second


def test_a_branch_removed_by_the_customer_is_pushed_again(customer: Customer, mirror: Mirror, base: str) -> None:
    delivery = do_work(mirror, base, {"new.txt": "one\n"})
    push_branch(mirror, delivery, BRANCH)
    git(customer.bare, "update-ref", "-d", f"refs/heads/{BRANCH}")
    push_branch(mirror, delivery, BRANCH)
    assert customer.head(BRANCH) == delivery


def test_a_refusal_by_the_customers_hook_is_passed_on(customer: Customer, mirror: Mirror, base: str) -> None:
    hook = customer.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no robots please\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitError) as error:
        push_branch(mirror, do_work(mirror, base, {"new.txt": "x"}), BRANCH)
    assert error.value.kind is GitErrorKind.PUSH_REJECTED
    assert "A rule of the project's repository" in error.value.message
    assert "no robots please" in error.value.detail


def test_names_that_look_like_options_are_refused(mirror: Mirror, base: str) -> None:
    for branch in ("--mirror", "-f", "a:b", "main:main"):
        with pytest.raises(GitError):
            push_branch(mirror, base, branch)
    with pytest.raises(GitError):
        push_branch(mirror, "--all", "x")
    with pytest.raises(GitError):
        find_by_trailer(mirror, "--all", "DevTeam-Task", "x")


# --- moving the base branch ---


def test_the_base_moves_forward_once(customer: Customer, mirror: Mirror, base: str) -> None:
    delivery = make_delivery_commit(mirror, do_work(mirror, base, {"new.txt": "x"}), base, MESSAGE, WHEN)
    for _ in range(2):
        push_base(mirror, delivery, "main", base)
    assert customer.head() == delivery == mirror.head("main")


def test_a_moved_base_is_refused(customer: Customer, mirror: Mirror, base: str) -> None:
    delivery = make_delivery_commit(mirror, do_work(mirror, base, {"new.txt": "x"}), base, MESSAGE, WHEN)
    moved = customer.commit({"README.md": "moved\n"})
    with pytest.raises(GitError) as error:
        push_base(mirror, delivery, "main", base)
    assert error.value.kind is GitErrorKind.PUSH_REJECTED
    assert "has moved" in error.value.message
    assert customer.head() == moved
    with pytest.raises(GitError):
        push_base(mirror, delivery, "main", moved)


def test_a_delivery_already_built_upon_counts_as_done(customer: Customer, mirror: Mirror, base: str) -> None:
    delivery = make_delivery_commit(mirror, do_work(mirror, base, {"new.txt": "x"}), base, MESSAGE, WHEN)
    push_base(mirror, delivery, "main", base)
    git(customer.clone, "pull", "--quiet", "origin", "main")
    newer = customer.commit({"README.md": "on top\n"})
    push_base(mirror, delivery, "main", base)
    assert customer.head() == newer


def test_a_repository_with_the_branch_checked_out_gives_the_reason(customer: Customer, tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "m.git", str(customer.clone))
    mirror.fetch()
    base = mirror.head("main")
    delivery = do_work(mirror, base, {"new.txt": "x"})
    with pytest.raises(GitError) as error:
        push_base(mirror, delivery, "main", base)
    assert error.value.kind is GitErrorKind.PUSH_REJECTED
    assert "checked out" in error.value.message
    push_branch(mirror, delivery, BRANCH)
    assert remote_head(str(customer.clone), BRANCH) == delivery


# --- asking and taking back ---


def test_a_delivery_is_found_by_its_trailer_and_nothing_else(mirror: Mirror, base: str) -> None:
    delivery = make_delivery_commit(mirror, do_work(mirror, base, {"new.txt": "x"}), base, MESSAGE, WHEN)
    quoting = make_delivery_commit(
        mirror, delivery, delivery, f"Talk\n\nDevTeam-Task: {TASK}\n\nis only quoted here.\n", WHEN
    )
    assert find_by_trailer(mirror, quoting, "DevTeam-Task", TASK) == delivery
    assert find_by_trailer(mirror, quoting, "DevTeam-Attempt", "a1") == delivery
    assert find_by_trailer(mirror, quoting, "DevTeam-Task", TASK[:-1]) is None
    assert find_by_trailer(mirror, "refs/remotes/origin/main", "DevTeam-Task", TASK) is None
    assert find_by_trailer(mirror, "refs/remotes/origin/none", "DevTeam-Task", TASK) is None
    assert is_ancestor(mirror, base, delivery)
    assert not is_ancestor(mirror, delivery, base)


def test_a_fast_forwarded_delivery_is_taken_back_under_later_work(
    customer: Customer, mirror: Mirror, base: str
) -> None:
    work = do_work(mirror, base, {"new.txt": "x", "src/app.py": "print('ours')\n"})
    delivery = make_delivery_commit(mirror, work, base, MESSAGE, WHEN)
    push_base(mirror, delivery, "main", base)
    git(customer.clone, "pull", "--quiet", "origin", "main")
    later = customer.commit({"README.md": "later\n"})
    mirror.fetch()
    reverted = revert_commit(mirror, delivery, later, "Take back\n", WHEN)
    assert isinstance(reverted, str)
    assert revert_commit(mirror, delivery, later, "Take back\n", WHEN) == reverted
    assert parents(mirror, reverted) == [later]
    assert show(mirror, reverted, "README.md") == "later"
    assert mirror.diff_stat(base, reverted) == [("README.md", 1, 1)]
    assert revert_commit(mirror, delivery, reverted, "Take back\n", WHEN) == reverted
    push_base(mirror, reverted, "main", later)
    assert customer.head() == reverted


def test_a_merge_is_taken_back_against_its_first_parent(mirror: Mirror, base: str) -> None:
    delivery = make_delivery_commit(mirror, do_work(mirror, base, {"new.txt": "x"}), base, MESSAGE, WHEN)
    merged = merge_commit(mirror, base, delivery, "Merge", WHEN)
    reverted = revert_commit(mirror, merged, merged, "Take back", WHEN)
    assert isinstance(reverted, str)
    assert parents(mirror, reverted) == [merged]
    assert tree(mirror, reverted) == tree(mirror, base)


def test_taking_back_what_was_changed_since_is_a_conflict(customer: Customer, mirror: Mirror, base: str) -> None:
    delivery = make_delivery_commit(mirror, do_work(mirror, base, {"README.md": "ours\n"}), base, MESSAGE, WHEN)
    push_base(mirror, delivery, "main", base)
    git(customer.clone, "pull", "--quiet", "origin", "main")
    later = customer.commit({"README.md": "changed again\n"})
    mirror.fetch()
    assert revert_commit(mirror, delivery, later, "Take back", WHEN) == Conflict(("README.md",))


def test_the_very_first_commit_can_be_taken_back(mirror: Mirror, base: str) -> None:
    reverted = revert_commit(mirror, base, base, "Take back", WHEN)
    assert isinstance(reverted, str)
    assert git(mirror.path, "ls-tree", reverted) == ""
