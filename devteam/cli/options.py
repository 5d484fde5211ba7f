"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path | None,
    typer.Option("--data", envvar="DEVTEAM_DATA", metavar="DIR", help="Data folder of the engine.", show_default=False),
]
Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="DEVTEAM_URL", metavar="URL", help="Address of an engine elsewhere; needs DEVTEAM_TOKEN."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the event.", show_default=False)]
Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="Name or id.", show_default=False)]
Task = Annotated[str, typer.Argument(metavar="TASK", help="Title or id.", show_default=False)]
OfCustomer = Annotated[
    str | None, typer.Option("--customer", metavar="CUSTOMER", help="Look among this customer's tasks only.")
]
