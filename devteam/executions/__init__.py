"""Executions and attempts: the engine's run over a customer's queue, and each try at a task."""
