"""The embedded PostgreSQL server and the data folder that it lives in."""

from devteam.adapters.postgres.data_folder import (
    DataFolder,
    DataFolderInUse,
    DataFolderRefused,
)
from devteam.adapters.postgres.embedded import EmbeddedPostgres, PostgresFailed, running_database_url
from devteam.kit.places import default_data_folder

__all__ = [
    "DataFolder",
    "DataFolderInUse",
    "DataFolderRefused",
    "EmbeddedPostgres",
    "PostgresFailed",
    "default_data_folder",
    "running_database_url",
]
