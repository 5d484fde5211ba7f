"""Check the committed files: locks pin everything by hash, and nothing names a place that packages come from.

The same locks must work with any index and any mirror, so no file holds an address to download from.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Put together here, so that this file is no finding of its own.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("deb", "debian", "org"),
    )
)
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|Users)/[a-z]\w*/")
GENERATED = ("devteam/web_app/", "web/src/shared/api/generated/", "web/dist/", "dist/")


def tracked_files() -> list[str]:
    """Every file that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def requirement_problems(path: Path) -> Iterator[str]:
    """Options, addresses, and requirements without version or hash in a lock of Python packages."""
    for block in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip()):
        first = block.splitlines()[0]
        if first.startswith("#"):
            continue
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*==\S+(?: ; [^\\]+)? \\", first):
            yield f"{path}: not a pinned requirement: {first}"
        if "--hash=sha256:" not in block:
            yield f"{path}: without hash: {first}"
        if "://" in block or "@ " in block:
            yield f"{path}: with an address: {first}"


def npm_problems(path: Path) -> Iterator[str]:
    """Addresses, and packages without hash, in a lock of npm packages."""
    for name, package in json.loads(path.read_text(encoding="utf-8"))["packages"].items():
        if "resolved" in package:
            yield f"{path}: {name} has a download address"
        if name and not package.get("link") and not package.get("inBundle") and "integrity" not in package:
            yield f"{path}: {name} has no hash"


def text_problems(name: str) -> Iterator[str]:
    """Registries and folders of somebody's machine in any file."""
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return
    yield from (f"{name}: names the registry {host}" for host in REGISTRIES if host in text)
    yield from (f"{name}: names a folder of one machine: {found}" for found in MACHINE_PATH.findall(text))


def problems() -> Iterator[str]:
    """Everything that is wrong."""
    for path in sorted(Path("requirements").glob("*.txt")):
        yield from requirement_problems(path)
    for folder in ("web", "agents"):
        yield from npm_problems(Path(folder) / "package-lock.json")
    for name in tracked_files():
        yield from text_problems(name)
        if name.startswith(GENERATED):
            yield f"{name}: is generated, and committed"


def main() -> int:
    """Print the problems; 1 when there are any."""
    found = list(problems())
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
