"""Gates on the command line: those that a repository suggests, and those that a file lists."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.failure import CliError
from devteam.cli.names import repository_address
from devteam.cli.options import Data, Json, Url


def read_gates(file: Path) -> list[dict[str, Any]]:
    """The gates of a JSON file: a list, or an object that holds one under `gates`. The engine judges what is in it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as exc:
        raise CliError(f"The gates in {file} cannot be read: {exc.strerror}.") from exc
    except (ValueError, RecursionError) as exc:
        raise CliError(f"{file} is no JSON: {exc}.") from exc
    if isinstance(found, dict):
        found = found.get("gates")
    if not isinstance(found, list) or not all(isinstance(gate, dict) for gate in found):
        raise CliError(f"{file} does not hold a list of gates.")
    return found


def propose_gates(
    repository: Annotated[str, typer.Argument(metavar="PATH_OR_URL", help="A git repository.", show_default=False)],
    base_branch: Annotated[
        str | None, typer.Option("--base-branch", metavar="BRANCH", help="Instead of the repository's default.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Show the gates that a repository suggests; `project add --proposed-gates` takes them."""
    with engine(url, data) as api:
        found = proposals(api, repository, base_branch)
    if as_json:
        render.print_json(found)
        return
    if not found["proposals"]:
        render.say("The repository suggests none.")
        return
    rows = [
        (
            each["gate"]["name"],
            " ".join(each["gate"]["argv"]),
            "required" if each["gate"]["required"] else "only warns",
            f"{each['why']} ({each['file']})",
        )
        for each in found["proposals"]
    ]
    render.show(render.table("Gate", "*Command", "", "*Why", rows=rows))


def proposals(api: Api, repository: str, base_branch: str | None) -> Any:
    """What a repository suggests."""
    body = {"repository": repository_address(repository)}
    return api.post("/gate-proposals", body if base_branch is None else {**body, "baseBranch": base_branch})
