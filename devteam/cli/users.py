"""`devteam user …`: who may use this installation, and as what."""

from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import Api, engine
from devteam.cli.failure import CliError
from devteam.cli.names import named, resolve
from devteam.cli.options import Data, Json, Url

user_app = typer.Typer(help="Users: who may use this installation, and as what.")

ROLES = ("admin", "project_manager", "developer", "viewer")
User = Annotated[str, typer.Argument(metavar="USER", help="Name or id.", show_default=False)]


@user_app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    *,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help=f"One of {', '.join(ROLES)}.")] = "viewer",
    customer: Annotated[
        list[str] | None,
        typer.Option("--customer", metavar="CUSTOMER", help="Whose work is in scope; repeatable. None: all."),
    ] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Add a user; prints the one-time link for the first sign-in."""
    if role not in ROLES:
        raise CliError(f"'{role}' is no role; use one of {', '.join(ROLES)}.")
    body: dict[str, Any] = {"name": name, "role": role}
    with engine(url, data) as api:
        if customer:
            customers = named(api.customers())
            body["customerIds"] = [resolve(each, customers, "customer") for each in customer]
        made = api.post("/users", body)
    _told(made, f"User {made['user']['name']} added as {role}. Signs in at {made['loginUrl']}", as_json)


@user_app.command("list")
def list_users(as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """List the users by name."""
    with engine(url, data) as api:
        users = api.get("/users")["users"]
        names = {card["id"]: card["name"] for card in api.customers()}
    if as_json:
        render.print_json(users)
        return
    rows = [
        (
            render.shown_id(each["id"]),
            each["name"],
            each["role"].replace("_", " "),
            "all" if each["customerIds"] is None else ", ".join(names.get(id_, id_) for id_ in each["customerIds"]),
            "disabled" if each["disabled"] else "active",
        )
        for each in users
    ]
    render.show(render.table("Id", "*Name", "Role", "*Customers", "State", rows=rows))


@user_app.command("token")
def token(user: User, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Print a new API token for programs that act as this user; it cannot be shown again."""
    with engine(url, data) as api:
        made = api.post(f"/users/{_id_of(api, user)}/api-tokens")
    _told(made, made["token"], as_json)


@user_app.command("revoke-tokens")
def revoke_tokens(user: User, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Make all of a user's API tokens worthless, at once."""
    with engine(url, data) as api:
        after = api.post(f"/users/{_id_of(api, user)}/revoke-api-tokens")
    _told(after, f"The API tokens of {after['name']} are revoked.", as_json)


@user_app.command("disable")
def disable(user: User, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Lock a user out at once: sessions, links and tokens become worthless."""
    with engine(url, data) as api:
        after = api.post(f"/users/{_id_of(api, user)}/disable")
    _told(after, f"User {after['name']} is disabled.", as_json)


def _id_of(api: Api, user: str) -> str:
    return resolve(user, named(api.get("/users")["users"]), "user")


def _told(view: Any, line: str, as_json: bool) -> None:
    if as_json:
        render.print_json(view)
    else:
        render.say(line)
