"""The only way out of a fence beside the model gateway: a proxy with a list of hosts per project, and one bandwidth."""

from devteam.adapters.egress.bandwidth import Bandwidth, TokenBucket, pace
from devteam.adapters.egress.proxy import EgressProxy, EgressWay, proxy_environment
from devteam.adapters.http_probe import Reach

__all__ = ["Bandwidth", "EgressProxy", "EgressWay", "Reach", "TokenBucket", "pace", "proxy_environment"]
