"""The command line: puts the commands together, and ends each with one line and an exit code."""

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import typer

PROGRAM = "devteam"


def main() -> NoReturn:
    """Run the command that the process was started with."""
    try:
        code = _run(sys.argv[1:] or ["--help"])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """Run one command. Returns its exit code."""
    from typer import Abort
    from typer.exceptions import TyperException

    from devteam.cli.failure import BAD_INPUT, FAILED, INTERRUPTED, CliError
    from devteam.kit.errors import DevTeamError

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # typed as TextIO, is a TextIOWrapper
    try:
        return int(build_app()(arguments, prog_name=PROGRAM, standalone_mode=False) or 0)
    except CliError as exc:
        return _failed(str(exc), exc.code)
    except DevTeamError as exc:
        return _failed(exc.message, BAD_INPUT if exc.status < 500 else FAILED)
    except TyperException as exc:
        return _failed(f"{exc.format_message()} (`{_help_of(exc)} --help` tells more.)", BAD_INPUT)
    except Abort:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as exc:
        if os.environ.get("DEVTEAM_DEBUG"):
            raise
        return _failed(f"Unexpected {type(exc).__name__}: {exc} (DEVTEAM_DEBUG=1 shows where.)", FAILED)


def _failed(message: str, code: int) -> int:
    from devteam.cli.failure import one_line

    sys.stderr.write(f"{PROGRAM}: {one_line(message)}\n")
    return code


def _help_of(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    return PROGRAM if context is None else str(context.command_path)


def build_app() -> "typer.Typer":
    """The application with all its commands."""
    import typer

    from devteam.cli import (
        approvals,
        attempt_again,
        attempt_files,
        attempt_hands,
        attempts,
        customers,
        executions,
        executors,
        incidents,
        logs,
        providers,
        status,
        tasks,
        users,
    )
    from devteam.entrypoints import engine_commands

    app = typer.Typer(
        help="DevTeam: autonomous coding work over many customers' task queues.",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name, command in engine_commands.COMMANDS.items():
        app.command(name)(command)
    app.command("login-link")(customers.login_link)
    app.add_typer(customers.customer_app, name="customer")
    app.add_typer(customers.project_app, name="project")
    app.add_typer(tasks.task_app, name="task")
    for act in (
        attempt_files.artifacts,
        attempt_again.replay,
        attempt_again.compare,
        attempt_again.run_again,
        attempt_again.send_back,
        attempt_hands.checkout,
        attempt_hands.hand_back,
        attempt_hands.release,
    ):
        attempts.attempt_app.command()(act)
    app.add_typer(attempts.attempt_app, name="attempt")
    app.add_typer(executors.executor_app, name="executors")
    app.add_typer(approvals.approval_app, name="approvals")
    app.add_typer(incidents.incident_app, name="incidents")
    app.add_typer(providers.provider_app, name="provider")
    app.add_typer(providers.price_app, name="price")
    app.add_typer(users.user_app, name="user")
    for command in (executions.start, executions.pause, executions.resume, executions.abort):
        app.command()(command)
    app.command("emergency-stop")(executions.emergency_stop)
    app.command()(status.status)
    app.command()(logs.logs)
    return app
