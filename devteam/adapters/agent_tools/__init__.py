"""The tools that DevTeam gives an agent: a Model Context Protocol server of each round's own."""

from devteam.adapters.agent_tools.server import AgentToolServer

__all__ = ["AgentToolServer"]
