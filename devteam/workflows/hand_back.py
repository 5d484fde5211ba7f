"""The executor of an attempt whose work a person did: there is nothing left to run before quality assurance."""

from collections.abc import Callable
from pathlib import Path

from devteam.executions.ports import CommandEnd, Held, Job


class HandedBack:
    """Takes the commits that a person handed back as the work of the round."""

    iterates = False

    def obstacle(self, job: Job) -> None:
        """A person's work is there already."""

    def run(
        self,
        job: Job,
        workspace: Path,  # noqa: ARG002 - it holds the person's files already
        held: Held,
        on_output: Callable[[str], None],
    ) -> CommandEnd:
        """Nothing runs."""
        held.checkpoint()
        author = "A person" if job.again is None else job.again.author
        on_output(f"{author} did the work by hand.\n")
        return CommandEnd(exit_code=0, signal=None, timed_out=False, seconds=0.0, isolation="by hand")
