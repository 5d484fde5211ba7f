"""What a call costs, in US dollars: the operator's prices first, then a dated public table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devteam.adapters.model_gateway.usage import Usage


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens."""

    input_usd: float
    cached_usd: float
    output_usd: float

    def cost(self, usage: Usage) -> float:
        """What the usage costs."""
        fresh = usage.input_tokens - usage.cached_tokens
        return (
            fresh * self.input_usd + usage.cached_tokens * self.cached_usd + usage.output_tokens * self.output_usd
        ) / 1e6


class PriceTable:
    """Costs by model. The operator's prices are those of the last `refresh`; the first question makes one."""

    def __init__(self, read_own: Callable[[], Mapping[str, Price]]) -> None:
        self._read_own = read_own
        self._own: Mapping[str, Price] | None = None

    def refresh(self) -> None:
        """Read the operator's prices anew; the public table is loaded then too, which takes half a second once."""
        import genai_prices  # noqa: F401, PLC0415 - loaded here so that no call has to wait for it

        self._own = self._read_own()

    def cost(self, model: str, usage: Usage, *, base_url: str) -> float | None:
        """What the usage costs; None when nobody knows the model's price."""
        if self._own is None:
            self.refresh()
        own = (self._own or {}).get(model)
        if own is not None:
            return own.cost(usage)
        # The table is 20 MB in memory, which a worker without agents need not pay.
        from genai_prices import Usage as Reported  # noqa: PLC0415
        from genai_prices import calc_price  # noqa: PLC0415

        reported = Reported(
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cached_tokens,
            cache_write_tokens=usage.written_tokens,
            output_tokens=usage.output_tokens,
        )
        for url in (base_url, None):
            try:
                return float(calc_price(reported, model, provider_api_url=url).total_price)
            except (LookupError, ValueError):
                continue
        return None
