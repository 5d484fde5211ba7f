"""Packages that come, change and go, and licences with them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from devteam.executions.checks.changes import FileChange
from devteam.executions.checks.manifests import Unreadable, dependencies, ecosystem_of, licence_field
from devteam.executions.checks.verdict import Facts, Verdict, listed, shown
from devteam.projects.gates import DependencyOptions, LicenceOptions

ASK = "dependency_change"
_LICENCE_FILE: Final = re.compile(r"(?i)(^|/)(licen[cs]es?|copying|notice|unlicense)([._-][^/]*)?$|(^|/)LICENSES/")


@dataclass(frozen=True)
class Changed:
    """A package of a manifest, and what was asked for before and is now; None where it was or is not there."""

    path: str
    ecosystem: str
    name: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.path}: {self.name} added ({self.after})"
        if self.after is None:
            return f"{self.path}: {self.name} removed ({self.before})"
        return f"{self.path}: {self.name} changed from {self.before} to {self.after}"


def is_wanted(path: str) -> bool:
    """Whether the checks on dependencies want a file's whole text."""
    return ecosystem_of(path) is not None


def dependency_changes(facts: Facts, options: Mapping[str, Any]) -> Verdict:
    """No package came, changed or went but those that are allowed to."""
    allowed = {_plain(name) for name in DependencyOptions.model_validate(options).allow}
    changed, unreadable = _changed(facts.changes.files)
    asked = [each for each in changed if _plain(each.name) not in allowed]
    lines = [*[str(each) for each in asked], *[f"{path}: cannot be read" for path in unreadable]]
    if not lines:
        return Verdict(True, "No dependency changed." if not changed else "Only dependencies that may change did.")
    counts = [
        f"{count} {word}"
        for count, word in (
            (sum(each.before is None for each in asked), "added"),
            (sum(each.before is not None and each.after is not None for each in asked), "changed"),
            (sum(each.after is None for each in asked), "removed"),
            (len(unreadable), "manifests cannot be read"),
        )
        if count
    ]
    paths = sorted({each.path for each in asked} | set(unreadable))
    return Verdict(False, f"Dependencies: {', '.join(counts)}: {shown(lines)}.", listed(lines), paths, ask=ASK)


def licence_changes(facts: Facts, options: Mapping[str, Any]) -> Verdict:
    """The repository's licence stays, and new dependencies have one of those that are allowed."""
    allowed = {_spdx(name) for name in LicenceOptions.model_validate(options).allow}
    own = list(_own_licence(facts.changes.files))
    new: dict[tuple[str, str], str | None] = {
        (each.ecosystem, each.name): facts.licence_of(each.ecosystem, each.name)
        for each in _changed(facts.changes.files)[0]
        if each.before is None
    }
    told = [f"{name} ({ecosystem}): {licence or 'unknown'}" for (ecosystem, name), licence in sorted(new.items())]
    bad = [
        f"{name} ({ecosystem}): {licence or 'unknown'}"
        for (ecosystem, name), licence in sorted(new.items())
        if licence is None or (allowed and _spdx(licence) not in allowed)
    ]
    findings = own + bad
    if findings:
        return Verdict(False, f"Licences: {shown(findings)}.", listed([*own, *told]), ask=ASK)
    if told:
        return Verdict(True, f"Licences of what is new: {shown(told)}.", listed(told))
    return Verdict(True, "No licence changed.")


def _changed(files: Sequence[FileChange]) -> tuple[list[Changed], list[str]]:
    """What changed in all manifests, and those that cannot be read."""
    changed: list[Changed] = []
    unreadable: list[str] = []
    for file in files:
        ecosystem = ecosystem_of(file.path)
        if ecosystem is None:
            continue
        try:
            before, after = _read(file.path, file.before), _read(file.path, file.after)
        except Unreadable:
            unreadable.append(file.path)
            continue
        if (file.status != "D" and file.after is None) or (file.status in "MT" and file.before is None):
            unreadable.append(file.path)
            continue
        changed += [
            Changed(file.path, ecosystem, name, before.get(name), after.get(name))
            for name in sorted(before.keys() | after.keys())
            if before.get(name) != after.get(name)
        ]
    return changed, unreadable


def _read(path: str, text: str | None) -> Mapping[str, str]:
    return {} if text is None else dependencies(path, text)


def _own_licence(files: Sequence[FileChange]) -> Iterator[str]:
    for file in files:
        if _LICENCE_FILE.search(file.path):
            word = {"A": "added", "D": "removed"}.get(file.status, "changed")
            yield f"{file.path} {word}"
        before, after = (_quietly(licence_field, file.path, text) for text in (file.before, file.after))
        if before != after:
            yield f"{file.path}: the licence is {after or 'not named'} instead of {before or 'not named'}"


def _quietly(read: Callable[[str, str], str | None], path: str, text: str | None) -> str | None:
    try:
        return None if text is None else read(path, text)
    except Unreadable:
        return None


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _spdx(name: str) -> str:
    """A licence's name without what people write differently."""
    return re.sub(r"[^a-z0-9.+]+", "", name.lower().removesuffix(" license"))
