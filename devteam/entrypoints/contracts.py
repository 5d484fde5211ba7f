"""Write the contracts that the web app is generated from: `python -m devteam.entrypoints.contracts [FOLDER]`."""

import json
import sys
from pathlib import Path
from typing import Any

from devteam.entrypoints.web import create_app
from devteam.kit.settings import WebSettings
from devteam.live import contract as live


def document() -> dict[str, Any]:
    """The OpenAPI description of the API."""
    return create_app(WebSettings(database_url="postgresql://nobody@localhost/nothing")).openapi()


def openapi_text() -> str:
    """The description as committed: the same text for the same handlers."""
    return json.dumps(document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the files."""
    folder = Path(arguments[0] if arguments else "contracts")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "openapi.json").write_text(openapi_text(), encoding="utf-8")
    (folder / live.PATH.name).write_text(live.rendered(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
