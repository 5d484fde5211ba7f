"""Fences: what closes an agent in, how it is proven to hold, and how much of the machine is allowed inside.

At a worker's start: `Limiter.find(limits).sweep()`, then `choose_fence(data)`. For each attempt:

    with limiter.hold(attempt_name, folders) as hold:
        command = RunningCommand.start(hold.apply(fence.wrap(spec, workspace=..., home=..., mirror=...)))
        with hold.watch(command):
            result = command.wait(on_output)
        hold.reason, hold.usage()
"""

from devteam.adapters.fences.bubblewrap import BubblewrapFence, find_bubblewrap
from devteam.adapters.fences.cgroup import GroupSurvived, GroupUsage, find_hierarchies
from devteam.adapters.fences.choice import ANY_FENCE, FenceChoice
from devteam.adapters.fences.container import ContainerFence
from devteam.adapters.fences.kubernetes import KubernetesFence
from devteam.adapters.fences.landlock import LandlockFence, landlock_version
from devteam.adapters.fences.limits import Hold, Limiter, folder_size
from devteam.adapters.fences.model import (
    Fence,
    FenceRefused,
    FenceReport,
    Part,
    ResourceLimits,
    forwarded_port,
)
from devteam.adapters.fences.probe import Unfenced, choose_fence, probe_fence

__all__ = [
    "ANY_FENCE",
    "BubblewrapFence",
    "ContainerFence",
    "Fence",
    "FenceChoice",
    "FenceRefused",
    "FenceReport",
    "GroupSurvived",
    "GroupUsage",
    "Hold",
    "KubernetesFence",
    "LandlockFence",
    "Limiter",
    "Part",
    "ResourceLimits",
    "Unfenced",
    "choose_fence",
    "find_bubblewrap",
    "find_hierarchies",
    "folder_size",
    "forwarded_port",
    "landlock_version",
    "probe_fence",
]
