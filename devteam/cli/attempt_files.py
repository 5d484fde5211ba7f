"""`devteam attempt artifacts`: what an attempt left, downloaded and checked."""

from pathlib import Path
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.attempts import Attempt, find_attempt
from devteam.cli.client import Api, engine
from devteam.cli.failure import FAILED, CliError
from devteam.cli.options import Data, Json, Url

SUMS = "SHA256SUMS"


def artifacts(
    attempt: Attempt,
    folder: Annotated[
        Path | None,
        typer.Option("--download", metavar="FOLDER", help="Put them there, checked.", show_default=False),
    ] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """List what an attempt left, with checksums, or download all of it: diff, output, session, gates."""
    with engine(url, data) as api:
        attempt_id = find_attempt(api, attempt)
        listed = api.get(f"/attempts/{attempt_id}/artifacts")
        if folder is not None:
            _download(api, attempt_id, listed["artifacts"], folder)
    if as_json:
        render.print_json(listed)
    elif folder is not None:
        render.say(f"{len(listed['artifacts'])} files in {folder}, checked against their checksums.")
    else:
        rows = [(file["name"], f"{file['bytes']:,}", file["sha256"]) for file in listed["artifacts"]]
        render.show(render.table("name", ">bytes", "sha256", rows=rows))


def _download(api: Api, attempt_id: str, files: list[dict[str, Any]], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            name = _plain(file["name"])
            found = api.download(f"/attempts/{attempt_id}/artifacts/{name}", folder / name)
            if found != file["sha256"]:
                raise CliError(f"{name} is not what its checksum says; download it again.", code=FAILED)
        sums = "".join(f"{file['sha256']}  {file['name']}\n" for file in files)
        (folder / SUMS).write_text(sums, encoding="utf-8")
    except OSError as exc:
        raise CliError(f"{exc.filename or folder} cannot be written: {exc.strerror}.") from exc


def _plain(name: str) -> str:
    """A name that stays inside the folder, whoever answered it."""
    if name != Path(name).name or name.startswith("."):
        raise CliError("What answers there is no DevTeam engine: it names files outside the folder.", code=FAILED)
    return name
