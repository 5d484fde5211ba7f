"""Google's protocol, where it differs: the path names the model and what is asked of it, not the body."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_plus

PATH = "/v1beta/models/{target:path}"
PREFIXES = ("", "/google")
_VERSION = re.compile(r"/v\d+[a-z0-9]*$")
_ACTIONS: Mapping[str, bool] = {"generateContent": True, "streamGenerateContent": True, "countTokens": False}
"""What is passed on, and whether it is paid for."""


@dataclass(frozen=True)
class Target:
    """What a path asks for."""

    model: str
    action: str

    @property
    def paid(self) -> bool:
        """Whether the provider takes money for it."""
        return _ACTIONS[self.action]

    def address(self, base_url: str) -> str:
        """Where the provider is asked, whether its address names the protocol's version or not."""
        version = "" if _VERSION.search(base_url) else "/v1beta"
        return f"{base_url}{version}/models/{quote(self.model, safe='')}:{self.action}"

    def call(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the gateway must know of the call, by the names that the other protocols have for it.

        Google takes each name in either spelling; of two limits the larger one may hold.
        """
        configs = [body.get(name) for name in ("generationConfig", "generation_config")]
        known = [config for config in configs if isinstance(config, Mapping)]
        call: dict[str, Any] = {"model": self.model, "stream": self.action == "streamGenerateContent"}
        for name, spellings in (
            ("max_output_tokens", ("maxOutputTokens", "max_output_tokens")),
            ("n", ("candidateCount", "candidate_count")),
        ):
            told = [config[spelling] for config in known for spelling in spellings if spelling in config]
            numbers = [value for value in told if isinstance(value, int) and not isinstance(value, bool)]
            if numbers:
                call[name] = max(numbers)
        return call


def target_of(text: str) -> Target | None:
    """`MODEL:ACTION`; None for what is not passed on."""
    model, _, action = text.rpartition(":")
    return Target(model, action) if model and "/" not in model and action in _ACTIONS else None


def without_key(query: str) -> str:
    """A query without the key, which the attempt's own would otherwise leave the machine in."""
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != "key")
