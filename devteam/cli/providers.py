"""`devteam provider …` and `devteam price …`. A key comes from standard input or a variable, never as an argument:
what stands on a command line is seen by everybody on the machine.
"""

import os
import sys
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.client import engine
from devteam.cli.failure import CliError
from devteam.cli.names import named, resolve
from devteam.cli.options import Data, Json, Url

provider_app = typer.Typer(help="Model providers: where agents' model calls go.")
price_app = typer.Typer(help="Prices of models, where the built-in table does not know them.")

KINDS = ("openai", "anthropic", "google")
Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="Name or id.", show_default=False)]
SecretStdin = Annotated[bool, typer.Option("--secret-stdin", help="Read the key from standard input.")]
SecretEnv = Annotated[
    str | None, typer.Option("--secret-env", metavar="VAR", help="Read the key from this environment variable.")
]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="MODEL", help="What it offers, the first by default; repeatable. None: any."),
]


@provider_app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of your choice.", show_default=False)],
    *,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="openai, anthropic or google.", show_default=False)
    ],
    base_url: Annotated[
        str,
        typer.Option("--base-url", metavar="URL", help="What stands before /chat/completions.", show_default=False),
    ],
    model: Models = None,
    secret_stdin: SecretStdin = False,
    secret_env: SecretEnv = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Add a model provider; it is tried after the others."""
    if kind not in KINDS:
        raise CliError(f"'{kind}' is no kind of provider; use one of {', '.join(KINDS)}.")
    body: dict[str, Any] = {"name": name, "kind": kind, "baseUrl": base_url, "models": model or []}
    secret = _secret(stdin=secret_stdin, variable=secret_env)
    if secret is not None:
        body["secret"] = secret
    with engine(url, data) as api:
        provider = api.post("/providers", body)
    keyed = "with its key" if provider["hasSecret"] else "without a key"
    _told(provider, f"Provider {provider['name']} added {keyed}: {provider['id']}", as_json)


@provider_app.command("edit")
def edit(
    provider: Provider,
    *,
    model: Models = None,
    first: Annotated[bool, typer.Option("--first", help="Try it before the others.")] = False,
    secret_stdin: SecretStdin = False,
    secret_env: SecretEnv = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Give a provider another key, other models, or the first place."""
    patch: dict[str, Any] = {"models": model} if model else {}
    secret = _secret(stdin=secret_stdin, variable=secret_env)
    if secret is not None:
        patch["secret"] = secret
    with engine(url, data) as api:
        providers = api.get("/providers")["providers"]
        wanted = resolve(provider, named(providers), "provider")
        if first:
            before = min(each["position"] for each in providers)
            patch |= {"position": before - 1} if before > 0 else {"position": 0}
        if not patch:
            raise CliError("Say what to change: --model, --first, --secret-stdin or --secret-env.")
        after = api.patch(f"/providers/{wanted}", patch)
    _told(after, f"Provider {after['name']} changed.", as_json)


@provider_app.command("remove")
def remove(provider: Provider, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Take a provider out of use."""
    with engine(url, data) as api:
        wanted = resolve(provider, named(api.get("/providers")["providers"]), "provider")
        after = api.patch(f"/providers/{wanted}", {"archived": True})
    _told(after, f"Provider {after['name']} is out of use.", as_json)


@provider_app.command("list")
def list_providers(as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """List the providers in the order in which they are tried."""
    with engine(url, data) as api:
        providers = api.get("/providers")["providers"]
    if as_json:
        render.print_json(providers)
        return
    rows = [
        (
            render.shown_id(each["id"]),
            each["name"],
            each["protocol"],
            each["baseUrl"],
            "yes" if each["hasSecret"] else "no",
            ", ".join(each["models"]) or "any",
            f"{each['parkedUntil']}: {each['parkedReason']}" if each["parkedUntil"] else "-",
        )
        for each in providers
    ]
    render.show(render.table("Id", "*Name", "Kind", "*Address", "Key", "*Models", "*Parked until", rows=rows))


@price_app.command("set")
def set_price(
    model: Annotated[str, typer.Argument(metavar="MODEL", show_default=False)],
    *,
    fresh: Annotated[
        float, typer.Option("--input", metavar="USD", help="Per million input tokens.", show_default=False)
    ],
    cached: Annotated[
        float | None, typer.Option("--cached", metavar="USD", help="Per million cached ones; else as --input.")
    ] = None,
    output: Annotated[
        float, typer.Option("--output", metavar="USD", help="Per million output tokens.", show_default=False)
    ],
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Set what a model costs, in US dollars per million tokens."""
    body = {"model": model, "inputUsd": fresh, "cachedUsd": fresh if cached is None else cached, "outputUsd": output}
    with engine(url, data) as api:
        price = api.put("/model-prices", body)
    _told(price, f"{price['model']}: {_line(price)} US dollars per million tokens.", as_json)


@price_app.command("list")
def list_prices(as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """List the prices that were set here."""
    with engine(url, data) as api:
        prices = api.get("/model-prices")["prices"]
    if as_json:
        render.print_json(prices)
        return
    rows = [
        (each["model"], *(f"{each[name]:g}" for name in ("inputUsd", "cachedUsd", "outputUsd")), each["setAt"])
        for each in prices
    ]
    render.show(render.table("*Model", ">Input", ">Cached", ">Output", "Set at", rows=rows))


def _line(price: dict[str, Any]) -> str:
    return f"input {price['inputUsd']:g}, cached {price['cachedUsd']:g}, output {price['outputUsd']:g}"


def _secret(*, stdin: bool, variable: str | None) -> str | None:
    """The key from where the caller said it is; None when nowhere was named."""
    if stdin and variable is not None:
        raise CliError("Give either --secret-stdin or --secret-env.")
    if variable is not None:
        found = os.environ.get(variable, "").strip()
        if not found:
            raise CliError(f"The environment variable {variable} is not set.")
        return found
    if not stdin:
        return None
    if sys.stdin.isatty():
        import getpass

        found = getpass.getpass("Key (it is not shown): ").strip()
    else:
        found = sys.stdin.readline(4096).strip()
    if not found:
        raise CliError("There is no key on standard input.")
    return found


def _told(view: Any, line: str, as_json: bool) -> None:
    if as_json:
        render.print_json(view)
    else:
        render.say(line)
