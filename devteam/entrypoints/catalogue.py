"""The executors that projects can choose, as the web process shows them."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from devteam import __version__
from devteam.adapters.executors.profiles import PROFILES, AgentProfile
from devteam.adapters.executors.programs import AgentPrograms
from devteam.executions.agents import ExecutorProfile


def agent_programs() -> AgentPrograms:
    """Where agents are looked for: in the folder that DEVTEAM_AGENTS_FOLDER names, then on PATH."""
    folder = os.environ.get("DEVTEAM_AGENTS_FOLDER")
    return AgentPrograms(Path(folder) if folder else None, os.environ.get("PATH", os.defpath))


def executor_profiles() -> list[ExecutorProfile]:
    """The tasks' own commands, every agent that is known by name, and any other by its command line."""
    return list(_profiles())


def _profiles() -> Iterator[ExecutorProfile]:
    programs = agent_programs()
    yield ExecutorProfile(
        name="command",
        title="The task's own command",
        package=None,
        usage="calls no model",
        loads_sessions=False,
        takes_guidance=False,
        is_installed=lambda: True,
        version=lambda: None,
    )
    for profile in PROFILES.values():
        yield ExecutorProfile(
            name=profile.name,
            title=profile.title,
            package=profile.package,
            usage=profile.usage,
            loads_sessions=profile.loads_sessions,
            takes_guidance=True,
            is_installed=partial(_is_found, programs, profile.argv),
            version=partial(_version, programs, profile),
        )
    yield ExecutorProfile(
        name="acp",
        title="Another agent, by its command",
        package=None,
        usage="not known; the gateway's figures decide",
        loads_sessions=True,
        takes_guidance=True,
        is_installed=lambda: True,
        version=lambda: None,
    )


def _is_found(programs: AgentPrograms, argv: tuple[str, ...]) -> bool:
    return programs.find(argv) is not None


def _version(programs: AgentPrograms, profile: AgentProfile) -> str | None:
    """The built-in agent comes with DevTeam; the others are npm's packages."""
    return __version__ if profile.package is None else programs.version(profile.argv)
