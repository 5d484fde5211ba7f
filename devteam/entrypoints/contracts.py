"""Write the contracts that the web app is generated from: `python -m devteam.entrypoints.contracts [FOLDER]`."""

import json
import sys
from pathlib import Path

from devteam.entrypoints.web import create_app
from devteam.kit.settings import WebSettings


def openapi_text() -> str:
    """The OpenAPI document as committed: the same text for the same handlers."""
    app = create_app(WebSettings(database_url="postgresql://nobody@localhost/nothing"))
    return json.dumps(app.openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the files."""
    folder = Path(arguments[0] if arguments else "contracts")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "openapi.json").write_text(openapi_text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
