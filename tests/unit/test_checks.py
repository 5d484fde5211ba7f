"""DevTeam's own checks: facts in, verdicts out, on friendly and on hostile changes."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from devteam.executions.checks.changes import Changes, FileChange, split_patch
from devteam.executions.checks.dependencies import dependency_changes, licence_changes
from devteam.executions.checks.manifests import Unreadable, dependencies
from devteam.executions.checks.paths import protected_paths
from devteam.executions.checks.patterns import matches
from devteam.executions.checks.registry import CHECKS
from devteam.executions.checks.secrets import mask_secrets, secret_scan
from devteam.executions.checks.size import diff_size, nothing_happened
from devteam.executions.checks.verdict import Facts, Tested, Verdict
from devteam.executions.checks.weakened import weakened_tests
from devteam.executions.ports import TestReport
from devteam.projects.gates import CHECK_OPTIONS, BuiltinCheck

AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
KEY_LINE = "MIIEpAIBAAKCAQEA7bq1Zl0pT4vX9s2Kd8wYhQf3uJ6mNc5R"


def change(path: str, old: str = "", new: str = "", status: str = "M", **fields: Any) -> FileChange:
    """A file of which all lines went and others came."""
    before, after = old.splitlines(), new.splitlines()
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1,{len(before)} +1,{len(after)} @@\n"
    body = "".join(f"-{line}\n" for line in before) + "".join(f"+{line}\n" for line in after)
    return FileChange(path, status, len(after), len(before), (head + body).encode(), **fields)


def facts(*files: FileChange, **fields: Any) -> Facts:
    return Facts(Changes(files), **fields)


def scan(text: str, path: str = "app/settings.py", **options: Any) -> Verdict:
    return secret_scan(facts(change(path, new=text)), options)


# --- the patch ---


def test_lines_that_look_like_headers_do_not_mislead_the_reader() -> None:
    patch = (
        b"diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,3 @@\n"
        b"--- a/other\n-diff --git a/x b/x\n+++ b/other\n+@@ -1 +1 @@\n+diff --git a/y b/y\n"
        b"\\ No newline at end of file\n"
        b'diff --git "a/o\\303\\244d.txt" "b/o\\303\\244d.txt"\nnew file mode 100644\n--- /dev/null\n'
        b'+++ "b/o\\303\\244d \\"1\\".txt"\n@@ -0,0 +1 @@\n+two\n'
        b"diff --git a/with blank b/with blank\n--- a/with blank\t\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"
    )
    parts = dict(split_patch(patch))
    assert list(parts) == ["a.txt", 'oäd "1".txt', "with blank"]
    lines = list(FileChange("a.txt", "M", patch=parts["a.txt"]).lines())
    assert [(line.side, line.number, line.text) for line in lines] == [
        ("-", 1, "-- a/other"),
        ("-", 2, "diff --git a/x b/x"),
        ("+", 1, "++ b/other"),
        ("+", 2, "@@ -1 +1 @@"),
        ("+", 3, "diff --git a/y b/y"),
    ]


@pytest.mark.parametrize(
    "patch", [b"", b"\xff\xfe\x00", b"@@ -1 +1 @@\n", b"diff --git ", b"@@ -9999999999,9 +1 @@\n-"]
)
def test_what_is_no_patch_is_read_without_an_error(patch: bytes) -> None:
    for path, part in split_patch(patch):
        list(FileChange(path, "M", patch=part).lines())


# --- secrets ---


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"key = {AWS}", "AWS access key"),
        (f"token: {GITHUB}", "GitHub token"),
        ("aws_secret_access_key = 'wJa9rXUtnFEMIK7MDENGbPxRfiCYZq8Lk2Ht5Vc0'", "AWS secret key"),
        ("https://hooks.slack.com/services/T00AB12CD/B00XY34ZT/abcDEF123456ghiJKL789012", "Slack webhook"),
        ("ANTHROPIC=sk-ant-api03-abcDEF123456ghiJKL789012mnoPQR", "Anthropic key"),
        ("sk-proj-abcDEF123456ghiJKL789012mnoPQR345stu", "OpenAI key"),
        ("DATABASE = 'postgres://app:hR7tq9Wz2LmX@db.internal/app'", "password in an address"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "signed token"),
        ("api_key = 'q8Zr4Tn1Vx6Kc3Hm9Wp2'", "secret in code"),
        ("export PAYMENT_API_KEY=q8Zr4Tn1Vx6Kc3Hm9Wp2", "secret in settings"),
        (f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_LINE}\n", "private key"),
        (f'KEY = "-----BEGIN PRIVATE KEY-----\\n{KEY_LINE}"', "private key"),
        (f"K\0E\0Y\0=\0{chr(0).join(AWS)}", "AWS access key"),
    ],
)
def test_a_secret_is_found_named_by_place_and_kind_and_stands_nowhere_in_the_verdict(text: str, kind: str) -> None:
    verdict = scan(f"first\n{text}\n")
    assert not verdict.passed and verdict.ask is None
    assert list(verdict.details) == [f"app/settings.py:2 {kind}"]
    told = repr(verdict)
    for secret in (
        AWS,
        GITHUB,
        KEY_LINE,
        "wJa9rXUt",
        "hR7tq9Wz2LmX",
        "q8Zr4Tn1Vx6Kc3Hm9Wp2",
        "abcDEF123456",
        "dozjgNry",
    ):
        assert secret not in told


@pytest.mark.parametrize(
    "text",
    [
        "password = os.environ['PASSWORD']",
        'password = "changeme-please-now-1"',
        'api_key: "${API_KEY_FROM_VAULT_1}"',
        "AKIAIOSFODNN7EXAMPLE",
        'tokens = ["components/auth-token-list"]',
        'token_url = "https://login.example.com/oauth2/v2/token"',
        "sk-learn-is-a-library-of-some-standing",
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
        'if line.startswith("-----BEGIN PRIVATE KEY-----"):',
        "secret_key_base = Rails.application.credentials",
        "def reset_password_token_generator(self) -> PasswordResetTokenGenerator:",
        "postgres://user:password@localhost/test",
        "x" * 100,
    ],
)
def test_what_only_looks_like_a_secret_passes(text: str) -> None:
    assert scan(text).passed, scan(text)


def test_what_only_moved_is_out_already_and_what_is_allowed_is_not_looked_at() -> None:
    moved = facts(change("old.py", old=f"k = '{AWS}'", status="D"), change("new.py", new=f"k = '{AWS}'", status="A"))
    assert secret_scan(moved, {}).passed
    assert scan(f"k = '{AWS}'", path="tests/data/keys.json", allowPaths=["tests/data/**"]).passed
    assert not scan(f"k = '{AWS}'", path="tests/keys.json", allowPaths=["tests/data/**"]).passed


def test_a_secret_that_a_later_commit_took_back_is_found_in_the_history() -> None:
    history = Changes([change("a.py", new=f"k = '{AWS}'"), change("a.py", old=f"k = '{AWS}'")])
    assert not secret_scan(Facts(Changes([change("a.py", new="fine")]), history=history), {}).passed


def test_a_secret_in_a_files_name_is_found_and_masked() -> None:
    verdict = scan("fine", path=f"keys/{AWS}.txt")
    assert not verdict.passed and AWS not in repr(verdict) and "in the file's name" in verdict.details[0]


def test_a_change_that_cannot_be_read_whole_does_not_pass() -> None:
    assert not secret_scan(Facts(Changes([change("a", new="fine")], cut=True)), {}).passed


def test_a_diff_that_is_kept_holds_no_secret() -> None:
    masked = mask_secrets(f"+k = '{AWS}' # {GITHUB}\n+-----BEGIN PRIVATE KEY-----\n+{KEY_LINE}\n+rest\n")
    assert AWS not in masked and GITHUB not in masked and KEY_LINE not in masked
    assert "[secret: AWS access key]" in masked and masked.startswith("+k = '")


@pytest.mark.parametrize(
    "text",
    [
        "password=" * 200_000,
        "eyJ" + "a" * 2_000_000,
        "a://" * 300_000,
        "aws_secret" * 150_000,
        "-----BEGIN PRIVATE KEY-----" * 50_000,
        "sk-" * 500_000,
        "token: '" * 200_000,
        "A" * 2_000_000,
        ".eyJaaaaaaaaaaa" * 100_000,
    ],
)
def test_a_scan_of_hostile_lines_takes_no_time(text: str) -> None:
    began = time.monotonic()
    scan(text)
    mask_secrets(text)
    assert time.monotonic() - began < 20


# --- paths ---


@pytest.mark.parametrize(
    ("path", "pattern", "wanted"),
    [
        (".github/workflows/ci.yml", ".github/**", True),
        (".github/workflows/ci.yml", ".github/", True),
        ("a/.github/ci.yml", ".github/**", False),
        ("Cargo.lock", "**/*.lock", True),
        ("deep/er/Cargo.lock", "**/*.lock", True),
        ("deep/Cargo.lock", "*.lock", False),
        ("app/migrations/0001.py", "**/migrations/**", True),
        ("migrations", "**/migrations/**", False),
        ("a+b(1).txt", "a+b(1).txt", True),
        ("ab", "a?", True),
        ("a/b", "a?b", False),
        ("new\nline", "**", True),
    ],
)
def test_patterns_of_paths(path: str, pattern: str, wanted: bool) -> None:
    assert matches(path, [pattern]) is wanted


def test_a_pattern_cannot_be_made_to_search_for_long() -> None:
    began = time.monotonic()
    matches("a/" * 2000 + "b", ["**/" * 50 + "*a*a*a*"])
    matches("a" * 250, ["*a" * 12 + "b"])
    assert time.monotonic() - began < 5


def test_protected_files_are_asked_about_but_those_that_a_person_allowed() -> None:
    changed = [
        change("db/migrations/1.sql", new="x", status="A"),
        change("a.py", new="x"),
        change("ci.yml", status="D"),
    ]
    verdict = protected_paths(facts(*changed, protected_paths=["**/migrations/**"]), {"paths": ["ci.yml"]})
    assert (verdict.passed, verdict.ask, list(verdict.paths)) == (
        False, "protected_paths", ["db/migrations/1.sql", "ci.yml"],
    )  # fmt: skip
    allowed = facts(*changed, protected_paths=["**/migrations/**"], approved_paths=frozenset({"db/migrations/1.sql"}))
    assert protected_paths(allowed, {}).passed


# --- size, nothing ---


def test_size_shows_what_is_and_what_may_be() -> None:
    verdict = diff_size(facts(change("a", "1\n2", "3\n4\n5"), change("b", new="1")), {"maxFiles": 1, "maxLines": 6})
    assert not verdict.passed and verdict.text == "2 files changed where 1 are allowed."
    assert [(m.name, m.actual, m.required) for m in verdict.measures] == [
        ("files changed", 2, 1), ("lines changed", 6, 6),
    ]  # fmt: skip


def test_success_without_a_change_needs_a_criterion() -> None:
    assert not nothing_happened(facts(), {}).passed
    assert nothing_happened(facts(criteria=1), {}).passed
    assert nothing_happened(facts(change("a", new="x")), {}).passed


# --- dependencies and licences ---


@pytest.mark.parametrize(
    ("path", "text", "wanted"),
    [
        (
            "requirements.txt",
            "# none\nrequests >=2 # web\nFlask_Login==1 \\\n  --hash=sha256:aa\n-r other.txt\n--index-url x\n"
            "-e git+https://x/y.git#egg=mine\nhttps://x/z.whl\nzope[test] @ https://x/zope",
            {"requests": ">=2", "flask-login": "==1", "mine": "from git+https://x/y.git#egg=mine",
             "https://x/z.whl": "from https://x/z.whl", "zope": "[test]@ https://x/zope"},
        ),
        (
            "pyproject.toml",
            '[project]\ndependencies=["a>1"]\n[project.optional-dependencies]\nx=["b"]\n[dependency-groups]\n'
            'dev=["c", {include-group="x"}]\n[tool.poetry.dependencies]\npython="^3"\n'
            'D_d={version="1", extras=["e"]}\n',
            {"a": ">1", "b": "any version", "c": "any version", "d-d": '1 {"extras": ["e"]}'},
        ),
        (
            "web/package.json",
            '{"dependencies":{"a":"^1"},"devDependencies":{"b":"2","a":"^2"}}',
            {"a": "^1 and ^2", "b": "2"},
        ),
        (
            "go.mod",
            "module x\nrequire a.com/b v1.0.0\nrequire (\n\tc.com/d v2.0.0 // indirect\n)\nreplace e.com/f => ../f\n",
            {"a.com/b": "v1.0.0", "c.com/d": "v2.0.0", "e.com/f": "replaced by ../f"},
        ),
        (
            "Cargo.toml",
            '[dependencies]\na="1"\n[dev-dependencies]\nb={version="2"}\n[target."cfg(unix)".dependencies]\nc={git="x"}\n',
            {"a": "1", "b": "2", "c": '{"git": "x"}'},
        ),
    ],
    ids=["requirements", "pyproject", "npm", "go", "cargo"],
)  # fmt: skip
def test_manifests_are_read(path: str, text: str, wanted: Mapping[str, str]) -> None:
    assert dependencies(path, text) == wanted


@pytest.mark.parametrize("path", ["requirements.txt", "pyproject.toml", "package.json", "go.mod", "Cargo.toml"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "[" * 100_000,
        '{"dependencies": [1]}',
        "[project]\ndependencies = 7",
        '{"a":' * 50_000,
        "]\n\\",
        "[[x]]",
    ],
)
def test_what_is_no_manifest_is_said_to_be_none(path: str, text: str) -> None:
    try:
        found = dependencies(path, text)
    except Unreadable:
        return
    assert "" not in found.values()


def test_dependencies_that_came_changed_and_went_are_asked_about() -> None:
    file = change("requirements.txt", before="a==1\nb==1\nc", after="a==2\nc\nd")
    verdict = dependency_changes(facts(file), {})
    assert (verdict.passed, verdict.ask) == (False, "dependency_change")
    assert list(verdict.details) == [
        "requirements.txt: a changed from ==1 to ==2",
        "requirements.txt: b removed (==1)",
        "requirements.txt: d added (any version)",
    ]
    assert dependency_changes(facts(file), {"allow": ["A", "b", "D"]}).passed
    assert dependency_changes(facts(change("requirements.txt", before="a # x", after="a")), {}).passed


def test_a_manifest_that_cannot_be_read_does_not_pass_in_silence() -> None:
    assert not dependency_changes(facts(change("package.json", before="{}", after="{")), {}).passed
    assert not dependency_changes(facts(change("package.json", before="{}")), {}).passed, "too large to be read"


def test_licences_of_new_dependencies_are_told_and_unknown_ones_plainly() -> None:
    known: Callable[[str, str], str | None] = lambda _ecosystem, name: {"a": "MIT", "b": "GPL-3.0-only"}.get(name)  # noqa: E731
    file = change("requirements.txt", before="", after="a\nb\nc")
    verdict = licence_changes(facts(file, licence_of=known), {"allow": ["mit"]})
    assert not verdict.passed and "b (python): GPL-3.0-only, c (python): unknown" in verdict.text
    assert "a (python): MIT" in verdict.details
    only = change("requirements.txt", before="", after="a")
    assert licence_changes(facts(only, licence_of=known), {"allow": ["MIT"]}).passed


def test_the_repositorys_own_licence_does_not_change_unseen() -> None:
    verdict = licence_changes(facts(change("LICENSE", "a", "b")), {})
    assert (verdict.passed, verdict.ask) == (False, "dependency_change")
    field = change("package.json", before='{"license":"MIT"}', after='{"license":"UNLICENSED"}')
    assert "UNLICENSED instead of MIT" in licence_changes(facts(field), {}).text
    assert licence_changes(facts(change("licenser.py", "a", "b")), {}).passed


# --- tests ---

STRONG = "def test_a():\n    assert total(1) == 1\n    assert total(2) == 2\n"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        (STRONG, "def test_a():\n    assert total(1) == 1\n", "1 assertions fewer"),
        (STRONG, "", "1 tests removed (test_a)"),
        (STRONG, "@pytest.mark.skip\n" + STRONG, "skipped or narrowed down"),
        (STRONG, "@pytest.mark.xfail(reason='later')\n" + STRONG, "skipped or narrowed down"),
        (STRONG, STRONG.replace("total(1) == 1", "True"), "always hold"),
        (STRONG, STRONG.replace("    assert total(2)", "    # assert total(2)"), "1 assertions fewer"),
        (STRONG, STRONG.replace("test_a", "check_a"), "1 tests removed"),
    ],
)  # fmt: skip
def test_weaker_python_tests_are_seen(old: str, new: str, found: str) -> None:
    verdict = weakened_tests(facts(change("tests/test_a.py", old, new)), {})
    assert (verdict.passed, verdict.ask) == (False, "weakened_tests") and found in verdict.text


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("src/a.test.ts", "it('adds', () => { expect(1).toBe(x) })", "it.skip('adds', () => { expect(1).toBe(x) })"),
        ("src/a.test.ts", "it('adds', () => {", "it.only('adds', () => {"),
        ("src/a.spec.js", "expect(a).toBe(1)", "expect(true).toBe(true)"),
        ("a_test.go", "func TestA(t *testing.T) {", "func TestA(t *testing.T) {\n\tt.Skip()"),
        ("a_test.go", 't.Errorf("no")', "_ = 1"),
        ("tests/a.rs", "#[test]", "#[test]\n#[ignore]"),
        ("src/FooTest.java", "assertEquals(1, a);", ""),
        ("pyproject.toml", 'addopts = ""', 'addopts = "--deselect tests/test_a.py"'),
        ("tests/conftest.py", "", "collect_ignore = ['test_a.py']"),
    ],
)
def test_weaker_tests_of_other_languages_are_seen(path: str, old: str, new: str) -> None:
    assert not weakened_tests(facts(change(path, old, new)), {}).passed


@pytest.mark.parametrize(
    "files",
    [
        [change("tests/test_a.py", STRONG, STRONG + "def test_b():\n    assert total(3) == 3\n")],
        [change("tests/test_a.py", STRONG, status="D"), change("tests/new/test_a.py", new=STRONG, status="A")],
        [change("app/a.py", "assert x\nassert y", "")],
        [change("tests/data/a.json", "assert", "")],
        [change("tests/test_a.py", "assert a == 1", "assert a == 2")],
    ],
    ids=["more", "moved", "no test", "data", "changed"],
)
def test_tests_that_are_not_weaker_pass(files: list[FileChange]) -> None:
    verdict = weakened_tests(facts(*files), {})
    assert verdict.passed, verdict


def test_fewer_tests_run_than_on_the_base_are_seen_with_both_numbers() -> None:
    before = TestReport(frozenset({"a", "b"}), frozenset(), 0)
    verdict = weakened_tests(facts(tested=[Tested("tests", before, TestReport(frozenset({"a"}), frozenset(), 0))]), {})
    assert not verdict.passed and "1 tests ran in tests where 2 ran" in verdict.text
    assert [(m.actual, m.required) for m in verdict.measures] == [(1, 2)]
    skipped = Tested("tests", before, TestReport(frozenset({"a", "b"}), frozenset(), 1))
    assert not weakened_tests(facts(tested=[skipped]), {}).passed


@pytest.mark.parametrize(
    "text", ["test('" * 100_000, "it" * 500_000, "func (" * 100_000, "expect(" * 100_000, "assert " * 100_000]
)
def test_hostile_tests_take_no_time(text: str) -> None:
    began = time.monotonic()
    weakened_tests(facts(change("tests/a.test.js", text, text + "x")), {})
    assert time.monotonic() - began < 10


# --- all of them ---


def test_every_check_has_options_and_is_implemented() -> None:
    assert set(CHECKS) == set(BuiltinCheck) == set(CHECK_OPTIONS)


@pytest.mark.parametrize("check", sorted(set(BuiltinCheck) - {BuiltinCheck.DIFF_SIZE}))
def test_every_check_stands_odd_files(check: BuiltinCheck) -> None:
    odd = [
        FileChange("", "M"),
        FileChange("a\udcff\0\n", "T", None, None, b"\x00\xff@@ -1 +1 @@\n-\xff\n+\xfe\0"),
        FileChange("tests/test_\x1b[31m.py", "A", 1, 0, b"@@ -0,0 +1 @@\n+\xff\xfe"),
        FileChange("package.json", "T", None, None, b"", "\0", "[]"),
    ]
    CHECKS[check](facts(*odd), {})
