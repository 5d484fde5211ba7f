"""The model gateway: agents' model calls pass through it, metered, within budget, without the real key.

An attempt gets an address and a key of its own. The gateway forwards the call as it came to the first
provider that can take it, streams the answer back as it arrives, counts what it used, and stops spending
before the budget is overshot.
"""

from devteam.adapters.model_gateway.gateway import ModelGateway
from devteam.adapters.model_gateway.lease import GatewayLease
from devteam.adapters.model_gateway.models import GatewayModels, NoModel
from devteam.adapters.model_gateway.prices import PriceTable
from devteam.adapters.model_gateway.redact import hidden
from devteam.adapters.model_gateway.store import GatewayStore

__all__ = ["GatewayLease", "GatewayModels", "GatewayStore", "ModelGateway", "NoModel", "PriceTable", "hidden"]
