"""The demo's five packages, fetched as source distributions by name with pinned hashes.

pip fetches them, with whatever index the machine is set up for. pip insists on asking a source distribution
for its metadata; left alone it would download build tools and run the package's own build script for that.
Here it finds a small stand-in for `setuptools` instead, which reads the `PKG-INFO` that every source
distribution carries: so nothing but the five files is downloaded, none of their code runs, and it works on
every Python.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devteam.kit.errors import DevTeamError

_TIME_LIMIT_SECONDS = 180.0
"""For all five together; they are 250 kB in all."""


@dataclass(frozen=True)
class DemoPackage:
    """A source distribution; `tests` says what its own test suite was measured to do on Python 3.11."""

    name: str
    version: str
    sha256: str
    tests: str

    @property
    def archive_name(self) -> str:
        """The file's name."""
        return f"{self.name}-{self.version}.tar.gz"


PACKAGES: tuple[DemoPackage, ...] = (
    DemoPackage(
        name="inflection",
        version="0.5.1",
        sha256="1a29730d366e996aaacffb2f1f1cb9593dc38e2ddd30c91250c6dde09ea9b417",
        tests="455 passed",
    ),
    DemoPackage(
        name="tabulate",
        version="0.8.10",
        sha256="6c57f3f3dd7ac2782770155f3adb2db0b1a269637e42f27599925e64b114f519",
        tests="174 passed, 26 skipped",
    ),
    DemoPackage(
        name="pystache",
        version="0.6.0",
        sha256="93bf92b2149a4c4b58d12142e2c4c6dd5c08d89e4c95afccd4b6efe2ee1d470d",
        tests="253 passed",
    ),
    DemoPackage(
        name="schedule",
        version="1.1.0",
        sha256="e6ca13585e62c810e13a08682e0a6a8ad245372e376ba2b8679294f377dfc8e4",
        tests="does not import; 35 passed once `import mock` is modernised",
    ),
    DemoPackage(
        name="toolz",
        version="0.11.2",
        sha256="6b312d5e15138552f1bda8a4e66c30e236c831b612b2bf0005f8a1df10a4bc33",
        tests="179 passed, 1 failed",
    ),
)


class DemoUnavailable(DevTeamError):
    """The demo's packages cannot be had on this machine."""

    code = "demo_unavailable"

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"The demo's packages could not be fetched: {cause} "
            "The demo also runs on a local git repository of your own: "
            '`devteam demo --repository PATH`, or `make demo ARGS="--repository PATH"`.'
        )


def fetch_packages(folder: Path, packages: Iterable[DemoPackage] = PACKAGES) -> Mapping[str, Path]:
    """The archives by package name, each with the pinned hash, in `folder`; what is already there stays.

    Raises `DemoUnavailable`.
    """
    wanted = tuple(packages)
    folder.mkdir(parents=True, exist_ok=True)
    missing = [package for package in wanted if not _is_genuine(folder / package.archive_name, package)]
    if missing:
        _download(folder, missing)
    for package in missing:
        if not _is_genuine(folder / package.archive_name, package):
            raise DemoUnavailable(f"{package.archive_name} did not arrive with the pinned hash.")
    return {package.name: folder / package.archive_name for package in wanted}


def _is_genuine(archive: Path, package: DemoPackage) -> bool:
    return archive.is_file() and hashlib.sha256(archive.read_bytes()).hexdigest() == package.sha256


def _download(folder: Path, packages: list[DemoPackage]) -> None:
    with tempfile.TemporaryDirectory(prefix="devteam-demo-") as name:
        work = Path(name)
        arrived = work / "arrived"
        requirements = work / "requirements.txt"
        requirements.write_text(
            "".join(f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in packages), encoding="utf-8"
        )
        command = [
            *_pip(work),
            "download",
            *("--disable-pip-version-check", "--no-input", "--quiet", "--progress-bar", "off"),
            *("--retries", "2", "--timeout", "20"),
            *("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--use-pep517"),
            *("--require-hashes", "--requirement", str(requirements), "--dest", str(arrived)),
        ]
        _run(command, _environment(work))
        for package in packages:
            archive = arrived / package.archive_name
            if archive.is_file():
                # Written beside its place first, so that a crash leaves no half archive under the true name.
                partial = folder / f".{package.archive_name}.{os.getpid()}"
                partial.write_bytes(archive.read_bytes())
                partial.replace(folder / package.archive_name)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIME_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as exc:
        raise DemoUnavailable(f"the download did not end within {_TIME_LIMIT_SECONDS:.0f} s.") from exc
    except OSError as exc:
        raise DemoUnavailable(f"pip could not be started ({exc}).") from exc
    if done.returncode != 0:
        raise DemoUnavailable(_cause(done.stdout.decode(errors="replace")))


def _cause(output: str) -> str:
    if "connection broken" in output:
        return "this machine's package index cannot be reached."
    return f"pip said: {_last_error(output)}."


def _last_error(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["nothing, and failed"])[-1].rstrip(".")


def _pip(work: Path) -> list[str]:
    """This Python's pip; where it has none (another installer was used), one in a passing environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    passing = work / "pip"
    try:
        venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(passing)
    except (OSError, subprocess.CalledProcessError, SystemExit) as exc:
        raise DemoUnavailable("this Python has no pip, and no `ensurepip` to get one from.") from exc
    python = passing / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return [str(python), "-m", "pip"]


def _environment(work: Path) -> dict[str, str]:
    stand_in = work / "stand-in" / "setuptools"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").write_text("", encoding="utf-8")
    (stand_in / "build_meta.py").write_text(_BUILD_BACKEND, encoding="utf-8")
    paths = [str(stand_in.parent), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        # pip may be told to work in virtual environments only; fetching files installs nothing.
        "PIP_REQUIRE_VIRTUALENV": "0",
    }


_BUILD_BACKEND = '''\
"""Answers with the metadata that the source distribution carries; builds nothing."""

import os
import sys
from email.parser import HeaderParser


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8", errors="replace") as file:
        carried = HeaderParser().parse(file)
    name, version = carried["Name"], carried["Version"]
    folder = "%s-%s.dist-info" % (name.replace("-", "_"), version)
    os.makedirs(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w", encoding="utf-8") as file:
        file.write("Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (name, version))
    return folder


__legacy__ = sys.modules[__name__]
'''
