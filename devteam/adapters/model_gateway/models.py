"""An attempt's way to its model through the gateway."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Literal

from devteam.adapters.model_gateway.gateway import ModelGateway
from devteam.adapters.model_gateway.lease import GatewayLease
from devteam.adapters.model_gateway.store import GatewayStore, Provider
from devteam.executions.ports import Alarm, Job
from devteam.executions.session import ModelAccess, Trouble
from devteam.kit.errors import Refused
from devteam.projects.rules import Obstacle

NEEDS_NO_PROVIDER = frozenset({"acp"})
"""An agent of one's own may need no model. The others would find no login in their empty home, and no network."""

_PROTOCOLS: Mapping[str, tuple[str, ...]] = {
    "claude": ("anthropic",),
    "gemini": ("google",),
    "native": ("openai", "anthropic"),
    "opencode": ("openai", "anthropic"),
}
"""What agents speak; the others speak OpenAI's protocol."""


_KINDS: Mapping[str, Literal["openai", "anthropic", "google"]] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
}


class NoModel(Refused):
    """There is no provider that an agent's calls could go to."""

    code = "no_model"


class OpenWay:
    """The way of one round."""

    def __init__(self, model: ModelAccess | None, lease: GatewayLease | None) -> None:
        self.model = model
        self._lease = lease

    @property
    def trouble(self) -> Trouble | None:
        """A refusal that a person must know of."""
        return None if self._lease is None else self._lease.trouble


class GatewayModels:
    """Leases keys of the gateway, which starts with the first of them."""

    def __init__(self, gateway: ModelGateway, store: GatewayStore, alarm: Alarm) -> None:
        self._gateway = gateway
        self._store = store
        self._alarm = alarm

    def obstacle(self, job: Job) -> Obstacle | None:
        """Why there is no model for the attempt, if so."""
        try:
            self._find(job)
        except NoModel as exc:
            return Obstacle(exc.code, exc.message)
        return None

    @contextmanager
    def access(self, job: Job) -> Iterator[OpenWay]:
        """The way to the project's model, or to the first one that a provider offers. Raises NoModel."""
        found = self._find(job)
        if found is None:
            yield OpenWay(None, None)
            return
        provider, model = found
        self._gateway.ensure_started()
        lease = self._gateway.lease(
            job.ref.attempt_id, model=model, budget_usd=job.budget_usd, sound=partial(self._alarm, job)
        )
        try:
            yield OpenWay(
                ModelAccess(
                    base_url=lease.base_url,
                    key=lease.key,
                    socket=str(lease.socket_path),
                    model=model,
                    protocol=_KINDS[provider.kind],
                ),
                lease,
            )
        finally:
            self._gateway.end(lease)
            if lease.over_budget:
                self._stopped_by_budget(job, lease)

    def _stopped_by_budget(self, job: Job, lease: GatewayLease) -> None:
        budget = lease.budget
        evidence = {
            "limitUsd": budget.limit,
            "spentUsd": round(budget.spent, 6),
            "overshootUsd": round(budget.overshoot, 6),
            "reason": None if lease.refused is None else lease.refused.text,
        }
        self._alarm(job, "budget_spent", "The budget stopped an agent in the middle of its work", evidence)

    def _find(self, job: Job) -> tuple[Provider, str] | None:
        """The first provider that speaks the agent's protocol and offers the model; None when the agent needs none."""
        spoken = _PROTOCOLS.get(job.executor, ("openai",))
        providers = [provider for provider in self._store.providers() if provider.kind in spoken]
        if not providers and job.executor in NEEDS_NO_PROVIDER:
            return None
        for provider in providers:
            model = job.model or next(iter(provider.models), None)
            if model is not None and provider.takes(provider.kind, model):
                return provider, model
        if not providers:
            raise NoModel(
                f"No model provider of kind {' or '.join(spoken)} is set up; add one with `devteam provider add`."
            )
        if job.model is None:
            raise NoModel("No provider lists its models, so the project has to name one.")
        raise NoModel(f"No provider of kind {' or '.join(spoken)} offers the model {job.model}.")
