"""DevTeam: a self-hosted engine that works through many customers' task queues with autonomous coding agents."""

__version__ = "0.1.0"
