"""Fixtures of the crash tests."""

from tests.engine.fixtures import engine_template, engine_url, lone_engine, working

__all__ = ["engine_template", "engine_url", "lone_engine", "working"]
