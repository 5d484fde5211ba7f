"""Running other people's commands so that they can always be stopped, frozen, and never outlive the worker.

worker (process.py)  --pipes-->  runner (runner.py)  -->  keeper  -->  the command and all it starts

The runner takes orders and watches the clock. The keeper adopts whatever the command leaves behind: it is the first
process of a PID namespace where the kernel permits one, else a child subreaper. Death of the worker, the runner or the
keeper ends the whole tree. `sweep.py` finds and kills what a whole machine's mishap may still have left.
"""

from devteam.adapters.processes.process import (
    CommandResult,
    CommandSpec,
    Isolation,
    NotFrozen,
    RunningCommand,
    scrubbed_environment,
)
from devteam.adapters.processes.sweep import (
    MARKER_VARIABLE,
    OWNER_VARIABLE,
    ProcessesSurvived,
    is_orphaned,
    kill_marked,
    kill_orphans,
    marked_processes,
    owner_identity,
)

__all__ = [
    "MARKER_VARIABLE",
    "OWNER_VARIABLE",
    "CommandResult",
    "CommandSpec",
    "Isolation",
    "NotFrozen",
    "ProcessesSurvived",
    "RunningCommand",
    "is_orphaned",
    "kill_marked",
    "kill_orphans",
    "marked_processes",
    "owner_identity",
    "scrubbed_environment",
]
