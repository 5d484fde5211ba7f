"""The built web app as files: one page for every address that is no file, assets cached for good."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

_OTHERS = ("/api/", "/ws/", "/healthz", "/readyz")
_NOT_BUILT = (
    "DevTeam is running, but this installation holds no built web app.\n\n"
    "In a source tree `make setup` builds it; the API under /api/devteam works without it.\n"
)


class PageRoute(Route):
    """Every address that is not the API's, so that an unknown or wrongly called API address stays a problem."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Leave the API to its own routes."""
        if scope["type"] == "http" and scope["path"].startswith(_OTHERS):
            return Match.NONE, {}
        return super().matches(scope)


def page_route(folder: Path) -> BaseRoute:
    """Serve the folder. Files are looked up by name in a list made now, so no address can lead out of it."""
    files = {f"/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()}

    async def page(request: Request) -> Response:
        path = request.url.path
        if path in files and path != "/index.html":
            immutable = path.startswith("/assets/")
            caching = "public, max-age=31536000, immutable" if immutable else "no-cache"
            return FileResponse(files[path], headers={"Cache-Control": caching})
        if path.startswith("/assets/"):
            return PlainTextResponse("There is no such file.\n", status_code=404)
        index = files.get("/index.html")
        if index is None:
            return PlainTextResponse(_NOT_BUILT, status_code=503)
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    return PageRoute("/{path:path}", page, methods=["GET", "HEAD"], include_in_schema=False)
