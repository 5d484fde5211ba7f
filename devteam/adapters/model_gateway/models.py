"""An attempt's way to its model through the gateway."""

from collections.abc import Iterator
from contextlib import contextmanager

from devteam.adapters.model_gateway.gateway import GatewayLease, ModelGateway
from devteam.adapters.model_gateway.store import GatewayStore
from devteam.executions.ports import Job
from devteam.executions.session import ModelAccess
from devteam.kit.errors import Refused

OWN_LOGIN = frozenset({"claude", "gemini", "codex", "qwen", "opencode", "acp"})
"""Agents that can bring a login of their own: without a provider they bypass the gateway, unmetered."""


class NoModel(Refused):
    """There is no provider that an agent's calls could go to."""

    code = "no_model"


class OpenWay:
    """The way of one round."""

    def __init__(self, model: ModelAccess | None, lease: GatewayLease | None) -> None:
        self.model = model
        self._lease = lease

    @property
    def trouble(self) -> str | None:
        """A refusal that a person must know of."""
        return None if self._lease is None else self._lease.trouble


class GatewayModels:
    """Leases keys of the gateway, which starts with the first of them."""

    def __init__(self, gateway: ModelGateway, store: GatewayStore) -> None:
        self._gateway = gateway
        self._store = store

    @contextmanager
    def access(self, job: Job) -> Iterator[OpenWay]:
        """The way to the project's model, or to the first one that a provider offers. Raises NoModel."""
        model = job.model or self._first_model()
        if model is None:
            if job.executor not in OWN_LOGIN:
                raise NoModel("No model provider is set up; add one with `devteam provider add`.")
            yield OpenWay(None, None)
            return
        self._gateway.ensure_started()
        lease = self._gateway.lease(job.ref.attempt_id, model=model, budget_usd=job.budget_usd)
        try:
            access = ModelAccess(base_url=lease.base_url, key=lease.key, socket=str(lease.socket_path), model=model)
            yield OpenWay(access, lease)
        finally:
            self._gateway.end(lease)

    def _first_model(self) -> str | None:
        return next((provider.models[0] for provider in self._store.providers() if provider.models), None)
