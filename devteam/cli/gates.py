"""`devteam project propose-gates`: what a repository suggests to check."""

from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.names import repository_address
from devteam.cli.options import Data, Json, Url


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
