"""`devteam attempt checkout|hand-back|release`: a person works on an attempt's branch in a clone of their own."""

import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from devteam.cli import render
from devteam.cli.attempts import Attempt, find_attempt
from devteam.cli.client import Api, engine
from devteam.cli.failure import FAILED, CliError
from devteam.cli.options import Data, Json, Url

STOP_SECONDS = 120.0
"""How long a running attempt may take to be stopped and saved."""
_POLL = 0.3
_MARK = "devteam.attempt"
"""Where a clone remembers in its own settings what it belongs to."""


def checkout(
    attempt: Attempt,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FOLDER", help="A new folder; named after the branch by default.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Take an attempt over: hold its task, and put its work into a git clone of your own.

    A running agent is stopped first and what it has done is saved. Give your commits back with `devteam attempt
    hand-back`, or the task without any with `devteam attempt release`.
    """
    with engine(url, data) as api:
        attempt_id = find_attempt(api, attempt)
        folder = into or Path(f"attempt-{attempt_id[-8:]}")
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CliError(f"{folder} is there already; name a new folder with --into.")
        api.post(f"/attempts/{attempt_id}/take-over")
        view = _stopped(api, attempt_id)
        repository = _repository(api, view)
        with tempfile.TemporaryDirectory(prefix="devteam-") as scratch:
            bundle = Path(scratch) / "work.bundle"
            api.download(f"/attempts/{attempt_id}/bundle", bundle, history="whole")
            _git("clone", "--quiet", "--", str(bundle), str(folder))
    _git("config", _MARK, attempt_id, folder=folder)
    _git("remote", "set-url", "origin", repository, folder=folder)
    if as_json:
        render.print_json({"attempt": view, "folder": str(folder.absolute())})
        return
    render.say(f"The work is in {folder}, on branch {_git('branch', '--show-current', folder=folder)}.")
    render.say(f"Commit there, then: devteam attempt hand-back {attempt_id} --from {folder}")


def hand_back(
    attempt: Attempt,
    folder: Annotated[
        Path, typer.Option("--from", metavar="FOLDER", help="The clone that `checkout` made.", show_default=False)
    ] = Path(),
    as_json: Json = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Give your commits back: the next attempt takes them through the same gates and delivers them as yours."""
    with engine(url, data) as api:
        attempt_id = find_attempt(api, attempt)
        _check_clone(folder, attempt_id)
        base = api.get(f"/attempts/{attempt_id}")["baseCommit"]
        with tempfile.TemporaryDirectory(prefix="devteam-") as scratch:
            bundle = Path(scratch) / "back.bundle"
            if _git("rev-list", "--count", f"{base}..HEAD", folder=folder) == "0":
                raise CliError(f"There is nothing to hand back: {folder} holds no commit since the attempt's base.")
            _git("bundle", "create", "--quiet", str(bundle), "HEAD", f"^{base}", folder=folder)
            asked = api.upload(f"/attempts/{attempt_id}/hand-back", bundle.read_bytes())
    if as_json:
        render.print_json(asked)
    else:
        render.say(f"“{asked['task']['title']}” is next in its queue: {asked['task']['statusReason']['text']}")


def release(attempt: Attempt, as_json: Json = False, url: Url = None, data: Data = None) -> None:
    """Give a task that you took over back to the engine, without any commits of yours."""
    with engine(url, data) as api:
        view = api.post(f"/attempts/{find_attempt(api, attempt)}/release")
    if as_json:
        render.print_json(view)
    else:
        render.say(f"“{view['taskTitle']}” is the engine's again.")


def _stopped(api: Api, attempt_id: str) -> dict[str, Any]:
    """The attempt once it has ended and is held."""
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        view: dict[str, Any] = api.get(f"/attempts/{attempt_id}")
        if view["outcome"] is not None:
            break
        if time.monotonic() > deadline:
            raise CliError("The attempt does not end; is a worker running? Ask again later.", code=FAILED)
        time.sleep(_POLL)
    if view["takenOverBy"] is None:
        raise CliError("The attempt was delivered before it could be taken over.", code=FAILED)
    return view


def _repository(api: Api, attempt: Mapping[str, Any]) -> str:
    projects = api.get(f"/customers/{attempt['customerId']}")["projects"]
    return next(str(each["repository"]) for each in projects if each["id"] == attempt["projectId"])


def _check_clone(folder: Path, attempt_id: str) -> None:
    if _git("config", "--get", _MARK, folder=folder, ok=(0, 1)) != attempt_id:
        raise CliError(f"{folder.absolute()} is no checkout of this attempt; name it with --from.")
    if _git("status", "--porcelain", folder=folder):
        raise CliError(f"{folder.absolute()} holds changes that are not committed; commit them first.")


def _git(*words: str, folder: Path | None = None, ok: tuple[int, ...] = (0,)) -> str:
    """Run the person's own git, with their settings."""
    place = [] if folder is None else ["-C", str(folder)]
    try:
        done = subprocess.run(["git", *place, *words], capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError as exc:
        raise CliError("The program git is not installed on this machine.") from exc
    if done.returncode not in ok:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CliError(f"git {words[0]} failed: {last}", code=FAILED)
    return done.stdout.strip()
