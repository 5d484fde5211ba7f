"""The HTTP client of the running engine: where it is, who calls, and how refusals become one line."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devteam.cli.failure import FAILED, CliError
from devteam.kit.ids import new_id
from devteam.kit.places import default_data_folder

if TYPE_CHECKING:
    import httpx

API = "/api/devteam"
TIMEOUT_SECONDS = 60.0
DATABASE_SECONDS = 30.0
"""How long a look waits for an engine whose database is away, so that whoever follows something goes on after it."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Address:
    """A running engine and a token for it. `place` says for a person where we looked."""

    url: str
    token: str
    place: str


def data_folder(data: Path | None) -> Path:
    """The data folder that a command is about."""
    return (data or default_data_folder()).expanduser().absolute()


def local_url(folder: Path) -> str | None:
    """The address that an engine on this data folder wrote down, if one did."""
    try:
        written = json.loads((folder / "run" / "engine.json").read_text())
        return str(written["url"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def find_engine(url: str | None, data: Path | None) -> Address:
    """The engine that is meant: the named one, else the one on the data folder. Raises CliError."""
    given = os.environ.get("DEVTEAM_TOKEN")
    if url is not None and given:
        return Address(_checked(url), given, url)
    folder = data_folder(data)
    local = local_url(folder)
    if url is None:
        if local is None:
            raise no_engine(str(folder))
        return Address(local, given or _local_token(folder), str(folder))
    if local is None or not _same_server(_checked(url), local):
        # The administrator's token of this machine is nothing to show to a stranger.
        raise CliError(f"Set DEVTEAM_TOKEN to an API token for {url}.")
    return Address(_checked(url), _local_token(folder), url)


def no_engine(place: str) -> CliError:
    """Nobody answers there."""
    return CliError(f"No engine is running on {place}; start one with `devteam up`.")


def _local_token(folder: Path) -> str:
    try:
        return (folder / "run" / "token").read_text().strip()
    except FileNotFoundError as exc:
        raise no_engine(str(folder)) from exc
    except (OSError, ValueError) as exc:
        raise CliError(f"The engine's token in {folder} cannot be read; set DEVTEAM_TOKEN.") from exc


def is_local(url: str) -> bool:
    """Whether the engine runs on this machine."""
    return urlsplit(url).hostname in _LOOPBACK


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        sound = False
    if not sound:
        raise CliError(f"'{url}' is no address of an engine; it looks like http://127.0.0.1:8321.")
    return url.rstrip("/")


def _same_server(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    hosts = {first.hostname, second.hostname}
    return first.port == second.port and (len(hosts) == 1 or hosts <= set(_LOOPBACK))


class Api:
    """Requests to the engine. Everything that goes wrong is a CliError."""

    def __init__(self, address: Address, client: "httpx.Client") -> None:
        self._address = address
        self._client = client
        self._answered = False

    @property
    def url(self) -> str:
        """Where the engine is."""
        return self._address.url

    def get(self, path: str, **query: Any) -> Any:
        """Read something."""
        return self._json(self._send("GET", path, query=query))

    def get_text(self, path: str) -> str:
        """The answer as the engine sent it."""
        return self._send("GET", path).text

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a command; sent again after a lost connection, it is still done once."""
        return self._json(self._send("POST", path, body=body))

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """Change something."""
        return self._json(self._send("PATCH", path, body=body))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """Set something; doing it twice is doing it once."""
        return self._json(self._send("PUT", path, body=body))

    def download(self, path: str, into: Path, **query: Any) -> str:
        """Write the answer's bytes to a file as they come; their SHA-256 in hexadecimal. Raises OSError too."""
        import httpx

        request = self._client.build_request("GET", f"{API}{path}", params=query)
        digest = hashlib.sha256()
        try:
            response = self._client.send(request, stream=True)
            try:
                if not response.is_success:
                    response.read()
                    raise _refusal(response)
                with into.open("wb") as file:
                    for chunk in response.iter_bytes():
                        digest.update(chunk)
                        file.write(chunk)
            finally:
                response.close()
        except httpx.TransportError as exc:
            raise self._lost(exc) from exc
        return digest.hexdigest()

    def upload(self, path: str, content: bytes) -> Any:
        """Send a command whose body is a file; sent again after a lost connection, it is still done once."""
        headers = {"Idempotency-Key": str(new_id()), "Content-Type": "application/octet-stream"}
        response = self._exchange(self._client.build_request("POST", f"{API}{path}", content=content, headers=headers))
        if not response.is_success:
            raise _refusal(response)
        return self._json(response)

    def customers(self) -> list[dict[str, Any]]:
        """The cards of all customers in scope."""
        found: list[dict[str, Any]] = self.get("/executions")["customers"]
        return found

    def tasks(self, customer_id: str, **query: Any) -> list[dict[str, Any]]:
        """All tasks of a customer in queue order."""
        tasks: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = self.get(f"/customers/{customer_id}/tasks", limit=500, **query, **cursor)
            tasks += page["tasks"]
            if page["nextCursor"] is None:
                return tasks
            cursor = {"cursor": page["nextCursor"]}

    def _send(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> "httpx.Response":
        import httpx

        headers = {"Idempotency-Key": str(new_id())} if method == "POST" else {}
        content = None if body is None else _encoded(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        request = self._client.build_request(method, f"{API}{path}", params=query, content=content, headers=headers)
        response = self._exchange(request)
        deadline = time.monotonic() + DATABASE_SECONDS
        while method == "GET" and response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            if time.monotonic() > deadline:
                break
            time.sleep(1.0)
            response = self._exchange(request)
        if not response.is_success:
            raise _refusal(response)
        return response

    def _exchange(self, request: "httpx.Request") -> "httpx.Response":
        import httpx

        try:
            response = self._client.send(request)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            response = self._send_again(request)
        except httpx.TransportError as exc:
            raise self._lost(exc) from exc
        self._answered = True
        return response

    def _send_again(self, request: "httpx.Request") -> "httpx.Response":
        """A kept connection may just have been closed; a command carries its key, so twice is once."""
        import httpx

        try:
            return self._client.send(request)
        except httpx.TransportError as exc:
            self._answered = True  # somebody was there a moment ago
            raise self._lost(exc) from exc

    def _lost(self, error: Exception) -> CliError:
        import httpx

        if not self._answered and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return no_engine(self._address.place)
        if isinstance(error, httpx.TimeoutException):
            return CliError(f"The engine on {self._address.url} does not answer.", code=FAILED)
        return CliError(f"The connection to the engine on {self._address.url} was lost.", code=FAILED)

    def _json(self, response: "httpx.Response") -> Any:
        try:
            return response.json()
        except ValueError as exc:
            raise CliError(f"What answers on {self._address.url} is no DevTeam engine.") from exc


@contextmanager
def engine(url: str | None, data: Path | None) -> Iterator[Api]:
    """The running engine, for one command."""
    address = find_engine(url, data)
    import httpx

    local = is_local(address.url)  # no proxy stands between this machine and itself
    headers = {"Authorization": f"Bearer {_header_safe(address.token)}", "User-Agent": "devteam-cli"}
    with httpx.Client(base_url=address.url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not local) as client:
        yield Api(address, client)


def _header_safe(token: str) -> str:
    if not token.isascii() or not token.isprintable():
        raise CliError("DEVTEAM_TOKEN is no API token.")
    return token


def _encoded(body: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise CliError("The command line holds bytes that are no text (UTF-8).") from exc


def _refusal(response: "httpx.Response") -> CliError:
    code = FAILED if response.status_code >= 500 else 2
    try:
        problem = response.json()
        detail = str(problem["detail"])
        errors: Sequence[Mapping[str, str]] = problem.get("errors") or ()
    except (ValueError, LookupError, TypeError, AttributeError):
        return CliError(f"{response.url} answered {response.status_code}; is that a DevTeam engine?", code=code)
    if response.status_code == 401:
        return CliError(f"The engine does not accept the token: {detail}")
    return CliError(problem_line(detail, errors), code=code)


def problem_line(detail: str, errors: Sequence[Mapping[str, str]]) -> str:
    """A problem's sentence, with what it says about fields beyond it."""
    details = [_field_line(error) for error in errors if error["message"] not in detail]
    return " ".join([detail, *details])


def _field_line(error: Mapping[str, str]) -> str:
    return f"{error['field']}: {error['message']}" if error["field"] else error["message"]
