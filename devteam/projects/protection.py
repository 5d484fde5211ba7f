"""What of a repository agents change only when a person allows it, and which commands they may not run."""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

DEFAULT_PROTECTED_PATHS = (
    ".github/**",
    ".gitlab-ci.yml",
    ".gitlab/**",
    ".circleci/**",
    "Jenkinsfile",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    ".drone.yml",
    ".travis.yml",
    "**/*.lock",
    "**/package-lock.json",
    "**/npm-shrinkwrap.json",
    "**/pnpm-lock.yaml",
    "**/go.sum",
    "**/migrations/**",
)
"""What builds and delivers, what pins dependencies, what changes databases."""

DEFAULT_REFUSED_COMMANDS = (
    "git push",
    "git remote",
    "sudo",
    "su",
    "doas",
    "pkexec",
    "docker",
    "podman",
    "kubectl",
    "npm publish",
    "twine upload",
    "cargo publish",
    "gh",
    "glab",
)
"""What leads out of the workspace: to other machines, to other rights, to what others install."""

_SEPARATORS = re.compile(r"\|\||&&|[;&|\n(){}`]|\$\(")
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh"})
_WRAPPERS = frozenset({"env", "exec", "command", "nohup", "time", "xargs", "then", "do", "else", "if", "while", "!"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_COMMAND_LIMIT = 20_000
_NESTING = 5


def refused_by(command: str, refused: Sequence[str]) -> str | None:
    """The entry that forbids a command line, if one does: first words of a command in it, or `/a regular expression/`.

    A shell can hide anything; this stops what is called by its name. The fence stops the rest.
    """
    text = command[:_COMMAND_LIMIT]
    calls = list(_calls(text, _NESTING))
    for entry in refused:
        expression = as_expression(entry)
        if expression is not None:
            if expression.search(text):
                return entry
        elif any(_begins(call, entry.split()) for call in calls):
            return entry
    return None


def as_expression(entry: str) -> re.Pattern[str] | None:
    """The regular expression between slashes; None for plain words. Raises re.error."""
    return re.compile(entry[1:-1]) if len(entry) > 2 and entry.startswith("/") and entry.endswith("/") else None


def _calls(text: str, nesting: int) -> Iterator[list[str]]:
    """The commands of a command line, each as its words from the program's name on."""
    yield from _calls_of_words(_words(text), nesting)
    for part in _SEPARATORS.split(text):
        yield from _calls_of_words(_words(part), nesting)


def _calls_of_words(words: list[str], nesting: int) -> Iterator[list[str]]:
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in _WRAPPERS):
        words = words[1:]
    if not words:
        return
    name = PurePosixPath(words[0]).name
    yield [name, *words[1:]]
    if name in _SHELLS and nesting:
        for word in words[1:]:
            if " " in word:
                yield from _calls(word, nesting - 1)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _begins(call: Sequence[str], entry: Sequence[str]) -> bool:
    """Whether a call begins with the words, options before the later ones left out: `git -C . push`."""
    if not entry or call[0] != entry[0]:
        return False
    rest = list(call[1:])
    wanted = list(entry[1:])
    while wanted and rest:
        if rest[0] == wanted[0]:
            rest, wanted = rest[1:], wanted[1:]
        elif rest[0].startswith("-"):
            takes_value = len(rest[0]) == 2 and len(rest) > 1 and rest[1] != wanted[0]
            rest = rest[2 if takes_value else 1 :]
        else:
            return False
    return not wanted
