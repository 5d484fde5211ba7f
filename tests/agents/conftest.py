"""Fixtures of the tests that run real agents."""

import os
from pathlib import Path

from tests.engine.fixtures import engine_template, working

__all__ = ["engine_template", "working"]

# Where `make agents` installs them, unless they are somewhere else.
os.environ.setdefault("DEVTEAM_AGENTS_FOLDER", str(Path(__file__).parents[2] / "agents"))
