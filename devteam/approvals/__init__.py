"""Approvals: questions of the engine and its agents that wait for a person."""
