"""What stands between a worker's attempts and the world: the alarm, the bandwidth, and the egress proxy."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devteam.adapters.egress import Bandwidth, EgressProxy, Reach
from devteam.adapters.fences import ResourceLimits
from devteam.executions.ports import Alarm
from devteam.kit.clock import Clock
from devteam.kit.db import Database
from devteam.kit.log import mask
from devteam.workflows.alarm import IncidentAlarm


@dataclass(frozen=True)
class Outside:
    """One of each for a worker."""

    alarm: Alarm
    bandwidth: Bandwidth
    egress: EgressProxy


def make_outside(database: Database, data: Path, clock: Clock, limits: ResourceLimits, reach: Reach) -> Outside:
    """With what an attempt may use by `limits`; `reach` says which addresses projects may allow."""
    alarm = IncidentAlarm(database, clock, evidence_cleaner(database, data, clock))
    bandwidth = Bandwidth(limits.network_bandwidth)
    folder = short_socket_path(data / "run", f"egress-{os.getpid()}-{'9' * 8}.sock").parent
    egress = EgressProxy(folder, alarm=alarm, bandwidth=bandwidth, reach=reach)
    return Outside(alarm, bandwidth, egress)


def evidence_cleaner(database: Database, data: Path, clock: Clock) -> Callable[[str], str]:
    """Masks what looks like a credential, and whatever the providers' keys and this installation's tokens are now."""

    def clean(text: str) -> str:
        # Imported with the first incident: it takes longer than all the rest of a worker.
        from devteam.adapters.model_gateway import GatewayStore, hidden
        from devteam.adapters.secret_box import SecretBox

        store = GatewayStore(database, clock, SecretBox(data / "run" / "secret.key"))
        secrets = [provider.secret for provider in store.providers() if provider.secret is not None]
        return mask(hidden(text, secrets, store.token_hashes()))

    return clean


def short_socket_path(folder: Path, name: str) -> Path:
    """A path for a Unix socket: in the folder, or where that is too long for one, in a private temporary folder."""
    wanted = folder / name
    return wanted if len(os.fsencode(wanted)) < 100 else Path(tempfile.mkdtemp(prefix="devteam-")) / name
