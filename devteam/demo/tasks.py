"""The demo's customers, their projects and tasks, as data.

Every task is a real code change by a tool that runs offline in the workspace, and the package's own test
suite is the gate. Two of them are honest failures: a spelling fix that renames what it should not, and a soak
run that does not end within its limit. How each one ends was measured on Python 3.11 and is kept true by
`tests/integration/test_demo_tasks_end.py`.

The tools come from the environment that runs DevTeam (`pip install devteam[demo]`), whose programs are first
on PATH.
"""

from devteam.demo.model import DemoCustomer, DemoGate, DemoProject, DemoTask, exists, matches, passes

TOOLS: tuple[str, ...] = ("codespell", "mypy", "pytest", "pyupgrade", "ruff")
"""What the tasks and gates run."""

# `python -m pytest` puts the workspace first on sys.path, so that an installed copy of a package never stands
# in for it. Plugins that happen to be installed are left out: they say nothing about the package and triple
# the start-up time.
_TESTS = DemoGate(
    name="tests", argv=("python", "-m", "pytest", "--disable-plugin-autoload", "-p", "no:cacheprovider", "-q")
)
_SYNTAX = DemoGate(name="syntax", argv=("ruff", "check", "--isolated", "--no-cache", "--select", "E9", "."))
_GATES = (_SYNTAX, _TESTS)
# The package brings strict settings of its own; only it passes them on its base.
_INFLECTION_TYPES = DemoGate(name="types", argv=("mypy", "--cache-dir=/dev/null", "inflection"))

_CHECK = ("ruff", "check", "--isolated", "--no-cache", "--target-version", "py38")
_FORMAT = ("ruff", "format", "--isolated", "--no-cache", "--target-version", "py38")


def _fix(rules: str, *paths: str) -> tuple[str, ...]:
    return (*_CHECK, "--select", rules, "--fix", *(paths or (".",)))


def _clean(rules: str, *paths: str) -> tuple[str, ...]:
    return (*_CHECK, "--select", rules, *(paths or (".",)))


def _ruff_task(
    key: str,
    title: str,
    description: str,
    rules: str,
    *,
    kind: str = "lint",
    depends_on: tuple[str, ...] = (),
    estimate_seconds: float = 4.0,
) -> DemoTask:
    """Fix every finding of some ruff rules; accepted when none is left."""
    return DemoTask(
        key=key,
        title=title,
        description=description,
        kind=kind,
        argv=_fix(rules),
        acceptance=(passes(_clean(rules)),),
        depends_on=depends_on,
        estimate_seconds=estimate_seconds,
    )


def _format_task(depends_on: tuple[str, ...] = ()) -> DemoTask:
    return DemoTask(
        key="format",
        title="Format the code base",
        description="Run `ruff format` over every file, last, so that it does not disturb the other changes.",
        kind="format",
        argv=(*_FORMAT, "."),
        acceptance=(passes((*_FORMAT, "--check", ".")),),
        depends_on=depends_on,
        estimate_seconds=4.0,
    )


def _pyupgrade_task(description: str, gone: tuple[tuple[str, str], ...]) -> DemoTask:
    return DemoTask(
        key="pyupgrade",
        title="Move the syntax on to Python 3.8",
        description=description,
        kind="modernise",
        script="git ls-files '*.py' | xargs pyupgrade --py38-plus --exit-zero-even-if-changed\n",
        acceptance=tuple(matches(path, pattern, present=False) for path, pattern in gone),
        estimate_seconds=4.0,
    )


_INFLECTION = DemoProject(
    package="inflection",
    delivery_mode="fast_forward",
    gates=(*_GATES, _INFLECTION_TYPES),
    tasks=(
        _ruff_task(
            "unused-imports",
            "Drop unused imports",
            "The documentation's settings import modules that nothing uses.",
            "F401,E401",
        ),
        _pyupgrade_task(
            "Coding cookies, `u` prefixes and the like are left over from Python 2.",
            (("test_inflection.py", r"coding: utf-8"), ("inflection/__init__.py", r"coding: utf-8")),
        ),
        _ruff_task(
            "imports",
            "Sort imports",
            "Standard library first, then third parties, then the package itself.",
            "I",
            depends_on=("unused-imports",),
        ),
        _ruff_task(
            "yoda",
            "Write comparisons the usual way round",
            'The tests say `"cactus" == singularize("cacti")`; put the expression first.',
            "SIM300",
        ),
        _ruff_task(
            "returns",
            "Flatten branches after return",
            "An `else` after a `return` only indents.",
            "RET505",
        ),
        _format_task(("imports", "pyupgrade", "returns", "yoda")),
    ),
)

_TABULATE = DemoProject(
    package="tabulate",
    delivery_mode="branch",
    gates=_GATES,
    tasks=(
        DemoTask(
            key="spelling",
            title="Fix spelling in the code and the changelog",
            description="README is left alone: it names a contributor whom a dictionary would rename.",
            kind="spelling",
            argv=("codespell", "--write-changes", "CHANGELOG", "setup.py", "tabulate.py"),
            acceptance=(
                passes(("codespell", "CHANGELOG", "setup.py", "tabulate.py")),
                matches("README.md", r"Sébastien Celles"),
            ),
            estimate_seconds=4.0,
        ),
        _ruff_task(
            "futures",
            "Remove `from __future__` imports and coding cookies",
            "Both are how Python 3 works anyway.",
            "UP009,UP010",
            kind="modernise",
        ),
        DemoTask(
            key="soak",
            title="Soak the test suite: 500 runs in a row",
            description="Looks for tests that fail now and then; stops at the first failure or at the limit.",
            kind="soak",
            script=(
                "run=0\n"
                "while [ $run -lt 500 ]; do\n"
                "  run=$((run + 1))\n"
                '  echo "Run $run of 500"\n'
                f"  {' '.join(_TESTS.argv)}\n"
                "done\n"
                'echo "500 runs without a failure" > SOAK.txt\n'
            ),
            acceptance=(exists("SOAK.txt"),),
            time_limit_seconds=8.0,
            estimate_seconds=8.0,
            expected="times_out",
        ),
        _ruff_task("imports", "Sort imports", "One import a line, standard library first.", "I"),
        _ruff_task("returns", "Flatten branches after return", "An `else` after a `return` only indents.", "RET505"),
        _pyupgrade_task(
            "Python 2 and early 3 are long gone; so is what was written for them.",
            (("tabulate.py", r"from __future__"), ("tabulate.py", r"class \w+\(object\)")),
        ),
    ),
)

_PYSTACHE = DemoProject(
    package="pystache",
    delivery_mode="merge_commit",
    gates=_GATES,
    tasks=(
        DemoTask(
            key="spelling",
            title="Fix spelling in the documentation",
            description="The history and the long description only; templates in tests are data.",
            kind="spelling",
            argv=("codespell", "--write-changes", "HISTORY.md", "setup_description.rst"),
            acceptance=(passes(("codespell", "HISTORY.md", "setup_description.rst")),),
            estimate_seconds=4.0,
        ),
        _ruff_task(
            "cookies",
            "Remove coding cookies",
            "Python 3 reads UTF-8 without being told, in all 35 files.",
            "UP009",
            kind="modernise",
        ),
        _ruff_task(
            "classes",
            "Write classes the Python 3 way",
            "No `object` as base class, no arguments for `super()`, no `encode('utf-8')`.",
            "UP003,UP004,UP008,UP012,UP024,UP025,UP034",
            kind="modernise",
            depends_on=("cookies",),
        ),
        _ruff_task("unused-imports", "Drop unused imports", "17 imports serve nothing.", "F401"),
        _ruff_task(
            "imports",
            "Sort imports",
            "After the unused ones are gone.",
            "I",
            depends_on=("unused-imports",),
        ),
        _format_task(("classes", "imports")),
    ),
)

# Only ruff's preview rules drop an unused import from an `__init__.py`.
_SCHEDULE_TYPES = """\
sed -i.before 's/scheduler: Scheduler = None/scheduler: Optional[Scheduler] = None/' schedule/__init__.py
rm schedule/__init__.py.before
ruff check --isolated --no-cache --target-version py310 --preview \\
  --select F401,UP006,UP007,UP045 --fix --unsafe-fixes schedule
"""

# One test expects that five in the morning has passed, and fails between midnight and then.
_SCHEDULE_TESTS = DemoGate(
    name="tests", argv=(*_TESTS.argv, "--deselect", "test_schedule.py::SchedulerTests::test_until_time")
)

_SCHEDULE = DemoProject(
    package="schedule",
    delivery_mode="fast_forward",
    gates=(_SYNTAX, _SCHEDULE_TESTS),
    tasks=(
        DemoTask(
            key="mock",
            title="Use `unittest.mock` instead of the `mock` package",
            description="The tests do not import without a package that the standard library has replaced.",
            kind="repair",
            argv=_fix("UP026", "test_schedule.py"),
            acceptance=(
                matches("test_schedule.py", r"^from unittest import mock$"),
                matches("test_schedule.py", r"^import mock$", present=False),
            ),
            estimate_seconds=4.0,
        ),
        _ruff_task(
            "classes",
            "Write classes the Python 3 way",
            "No `object` as base class, no needless parentheses, f-strings.",
            "UP004,UP032,UP034",
            kind="modernise",
            depends_on=("mock",),
        ),
        _ruff_task("imports", "Sort imports", "Standard library first.", "I", depends_on=("mock",)),
        _ruff_task(
            "placeholders",
            "Remove `pass` beside docstrings",
            "A docstring is a body already.",
            "PIE790",
            depends_on=("mock",),
        ),
        DemoTask(
            key="types",
            title="Make mypy content and write types the Python 3.10 way",
            description="One parameter is optional without saying so; `Optional` and `Union` become `|`.",
            kind="types",
            script=_SCHEDULE_TYPES,
            acceptance=(
                passes(("mypy", "--cache-dir=/dev/null", "--ignore-missing-imports", "schedule"), 120.0),
                matches("schedule/__init__.py", r"Optional\[", present=False),
            ),
            depends_on=("mock",),
            estimate_seconds=12.0,
        ),
        _format_task(("classes", "imports", "types")),
    ),
)

# The interpreter asks a module's specification for this since 3.11; the package's next release answered the
# same way.
_REPAIR_TLZ = """\
python - <<'EOF'
from pathlib import Path

module = Path("tlz/_build_tlz.py")
line = "        self.has_location = False\\n"
module.write_text(module.read_text().replace(line, line + "        self._uninitialized_submodules = []\\n"))
EOF
"""

_TOOLZ = DemoProject(
    package="toolz",
    delivery_mode="branch",
    gates=_GATES,
    tasks=(
        _ruff_task(
            "classes",
            "Write classes the Python 3 way",
            "No `object` as base class and no arguments for `super()`.",
            "UP004,UP008",
            kind="modernise",
        ),
        DemoTask(
            key="spelling",
            title="Fix spelling everywhere",
            description="Every word that the dictionary does not know, in code and text alike.",
            kind="spelling",
            # Names are words to a spelling checker: `juxt` becomes `just`, in some of the places that use it.
            argv=("codespell", "--write-changes", "."),
            acceptance=(passes(("codespell", ".")),),
            estimate_seconds=4.0,
            expected="gate_fails",
        ),
        DemoTask(
            key="spelling-settings",
            title="Keep the spelling checked",
            description="Settings for the checker, once the words are right.",
            kind="spelling",
            script="printf '[codespell]\\ncheck-filenames =\\n' > .codespellrc\n",
            acceptance=(exists(".codespellrc"), passes(("codespell", "."))),
            depends_on=("spelling",),
            estimate_seconds=4.0,
            expected="blocked",
        ),
        DemoTask(
            key="escapes",
            title="Repair invalid escape sequences",
            description="Warnings today, errors in a coming Python; no file may compile with one.",
            kind="repair",
            argv=_fix("W605"),
            acceptance=(passes(("python", "-W", "error", "-m", "compileall", "-q", "-f", ".")),),
            estimate_seconds=5.0,
        ),
        _ruff_task("imports", "Sort imports", "Standard library first.", "I"),
        _ruff_task(
            "files",
            "Open files and catch their errors the Python 3 way",
            "`OSError` has swallowed its aliases, and reading is what `open` does by default.",
            "UP015,UP024",
            kind="modernise",
        ),
        DemoTask(
            key="repair-tlz",
            title="Repair `tlz` on Python 3.11",
            description="The one test that fails on the base: the module's specification lacks an attribute.",
            kind="repair",
            script=_REPAIR_TLZ,
            acceptance=(
                passes((*_TESTS.argv, "toolz/tests/test_tlz.py")),
                matches("tlz/_build_tlz.py", r"_uninitialized_submodules = \[\]"),
            ),
            estimate_seconds=5.0,
        ),
    ),
)

CUSTOMERS: tuple[DemoCustomer, ...] = (
    DemoCustomer("Harbour & Finch Publishing", "priority_customer", _INFLECTION),
    DemoCustomer("Meridian Reports", "priority_customer", _TABULATE),
    DemoCustomer("Lanternmail", "standard_customer", _PYSTACHE),
    DemoCustomer("Tidewater Logistics", "standard_customer", _SCHEDULE),
    DemoCustomer("Quarry Data Works", "low_priority_customer", _TOOLZ),
)
