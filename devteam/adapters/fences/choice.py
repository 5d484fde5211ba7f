"""Which fence an operator wants, and what the ones that are not of this machine need to know."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devteam.adapters.fences.model import FenceRefused, Kind

_OWN: tuple[Kind, ...] = ("bubblewrap", "landlock")
_CHOSEN: tuple[Kind, ...] = ("container", "kubernetes")


@dataclass(frozen=True)
class FenceChoice:
    """`kinds` are tried in their order, and the first that holds is used.

    `image` is what containers are made from. `program` is the container engine's, when not podman or docker as found.
    `namespace` and `volume` are where pods run and the claim of the volume that the data folder is; `address` is the
    worker's own as pods reach it; `kubeconfig` says where the cluster is when the worker does not run in it.
    """

    kinds: tuple[Kind, ...] = _OWN
    image: str = ""
    program: Path | None = None
    namespace: str = ""
    volume: str = ""
    address: str = ""
    kubeconfig: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """DEVTEAM_FENCE and what begins with it. Raises FenceRefused for a fence that there is not."""
        wanted = environment.get("DEVTEAM_FENCE") or "auto"
        known: dict[str, tuple[Kind, ...]] = {"auto": _OWN, **{kind: (kind,) for kind in (*_OWN, *_CHOSEN)}}
        if wanted not in known:
            raise FenceRefused(f"DEVTEAM_FENCE is {wanted!r}, which is none of {', '.join(known)}")
        program, kubeconfig = environment.get("DEVTEAM_FENCE_PROGRAM"), environment.get("DEVTEAM_FENCE_KUBECONFIG")
        return cls(
            kinds=known[wanted],
            image=environment.get("DEVTEAM_FENCE_IMAGE", ""),
            program=Path(program) if program else None,
            namespace=environment.get("DEVTEAM_FENCE_NAMESPACE", ""),
            volume=environment.get("DEVTEAM_FENCE_VOLUME", ""),
            address=environment.get("DEVTEAM_FENCE_ADDRESS", ""),
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
        )


ANY_FENCE = FenceChoice()
