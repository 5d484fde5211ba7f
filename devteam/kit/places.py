"""Where things live on this machine."""

import os
from pathlib import Path

import platformdirs


def default_data_folder() -> Path:
    """Where the data lives when nobody says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/devteam")
    return Path(platformdirs.user_data_dir("devteam", appauthor=False))
