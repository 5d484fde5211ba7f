"""Read what a repository says it depends on, and under which licence it is. Whatever is in the files, nothing raises
but `Unreadable`.
"""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Dependencies = Mapping[str, str]
"""What is asked for by the package's name; several requirements of one package are joined."""


class Unreadable(Exception):
    """A file that is not what its name says."""


_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,199})\s*(\[[^\]]{0,300}\])?\s*(.*)")
_GO_REQUIRE: Final = re.compile(r"^\s*(?:require\s+)?([\w.\-~/]{3,300})\s+(v[\w.\-+]{1,200})")


def ecosystem_of(path: str) -> str | None:
    """Which packages a file speaks of; None when it is no manifest."""
    name = path.rsplit("/", 1)[-1]
    if name == "pyproject.toml":
        return "python"
    if name.endswith(".txt") and re.search(r"(^|/)((dev-|test-)?requirements|constraints)[^/]*(/[^/]+)?\.txt$", path):
        return "python"
    return {"package.json": "npm", "go.mod": "go", "Cargo.toml": "rust"}.get(name)


def dependencies(path: str, text: str) -> Dependencies:
    """The packages that a manifest asks for. Raises Unreadable."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, wanted in _reader(path)(text):
        found[name].add(wanted.strip() or "any version")
    return {name: " and ".join(sorted(wanted)) for name, wanted in found.items()}


def licence_field(path: str, text: str) -> str | None:
    """The licence that a manifest names for the repository itself. Raises Unreadable."""
    name = path.rsplit("/", 1)[-1]
    if name == "package.json":
        found = _json(text).get("license")
    elif name == "pyproject.toml":
        project = _table(_toml(text), "project")
        classifiers = [each for each in _list(project.get("classifiers")) if str(each).startswith("License ::")]
        poetry = _table(_toml(text), "tool", "poetry").get("license")
        found = project.get("license") or poetry or (", ".join(map(str, classifiers)) or None)
    elif name == "Cargo.toml":
        package = _table(_toml(text), "package")
        found = package.get("license") or package.get("license-file")
    else:
        return None
    return (
        None if found is None else found if isinstance(found, str) else json.dumps(found, sort_keys=True, default=str)
    )


def _reader(path: str) -> Callable[[str], Iterator[tuple[str, str]]]:
    match path.rsplit("/", 1)[-1]:
        case "pyproject.toml":
            return _pyproject
        case "package.json":
            return _package_json
        case "go.mod":
            return _go_mod
        case "Cargo.toml":
            return _cargo
        case _:
            return _requirements


def _requirements(text: str) -> Iterator[tuple[str, str]]:
    for raw in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        if re.match(r"(-e|--editable)[\s=]", line):
            address = re.sub(r"^(-e|--editable)[\s=]+", "", line)
            yield address.rpartition("#egg=")[2] or address, f"from {address}"
        elif re.match(r"[a-z+]{3,20}://", line):
            yield line.partition("#egg=")[2] or line, f"from {line}"
        elif line and not line.startswith("-"):
            yield from _requirement(re.sub(r"\s--hash[=\s].*", "", line))


def _requirement(line: str) -> Iterator[tuple[str, str]]:
    match = _REQUIREMENT.match(line.strip())
    if match is not None:
        yield re.sub(r"[-_.]+", "-", match[1]).lower(), f"{match[2] or ''}{match[3]}"


def _pyproject(text: str) -> Iterator[tuple[str, str]]:
    content = _toml(text)
    project, poetry = _table(content, "project"), _table(content, "tool", "poetry")
    lists = [project.get("dependencies"), _table(content, "build-system").get("requires")]
    lists += _table(project, "optional-dependencies").values()
    lists += _table(content, "dependency-groups").values()
    lists += [_table(content, "tool", "uv").get("dev-dependencies")]
    lists += _table(content, "tool", "pdm", "dev-dependencies").values()
    for wanted in lists:
        for item in _list(wanted):
            if isinstance(item, str):
                yield from _requirement(item)
    tables = [_table(poetry, "dependencies"), _table(poetry, "dev-dependencies")]
    tables += [_table(group, "dependencies") for group in _table(poetry, "group").values()]
    for table in tables:
        for name, wanted in table.items():
            if name != "python":
                yield re.sub(r"[-_.]+", "-", name).lower(), _spec(wanted)


def _package_json(text: str) -> Iterator[tuple[str, str]]:
    content = _json(text)
    for part in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies", "overrides"):
        for name, wanted in _table(content, part).items():
            yield name, _spec(wanted)


def _go_mod(text: str) -> Iterator[tuple[str, str]]:
    block = ""
    for raw in text.splitlines():
        line = raw.partition("//")[0].strip()
        if opened := re.match(r"(\w+)\s*\($", line):
            block = opened[1]
        elif line == ")":
            block = ""
        elif "=>" in line and (block == "replace" or line.startswith("replace ")):
            name, _, target = line.removeprefix("replace ").partition("=>")
            yield (name.split() or [""])[0], f"replaced by {target.strip()}"
        elif block == "require" or line.startswith("require "):
            match = _GO_REQUIRE.match(line)
            if match is not None:
                yield match[1], match[2]


def _cargo(text: str) -> Iterator[tuple[str, str]]:
    content = _toml(text)
    places = [content, _table(content, "workspace"), *_table(content, "target").values()]
    for place in places:
        for part in ("dependencies", "dev-dependencies", "build-dependencies"):
            for name, wanted in _table(place, part).items():
                yield name, _spec(wanted)


def _spec(wanted: Any) -> str:
    if isinstance(wanted, str):
        return wanted
    if isinstance(wanted, dict) and isinstance(wanted.get("version"), str):
        rest = {key: value for key, value in wanted.items() if key != "version"}
        return f"{wanted['version']} {json.dumps(rest, sort_keys=True, default=str)}" if rest else wanted["version"]
    return json.dumps(wanted, sort_keys=True, default=str)


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise Unreadable from exc


def _json(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise Unreadable from exc
    if not isinstance(content, dict):
        raise Unreadable
    return content


def _table(content: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def _list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else []
