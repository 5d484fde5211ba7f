"""Bring a database to the newest revision, once, whoever asks first."""

from pathlib import Path

from devteam.kit.db import Database, sql

HEAD = "0009"
_LOCK = 0x44455654  # "DEVT": serialises concurrent migrations


def current_revision(database: Database) -> str | None:
    """The database's revision; None for an empty database."""
    with database.transaction() as connection:
        if connection.execute(sql("SELECT to_regclass('alembic_version')")).scalar() is None:
            return None
        return connection.execute(sql("SELECT version_num FROM alembic_version")).scalar()


def migrate(database: Database) -> bool:
    """Upgrade to the newest revision; False when there was nothing to do."""
    if current_revision(database) == HEAD:
        return False
    # Alembic costs 0.3 s to import, which a second start need not pay.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with database.transaction() as connection:
        connection.execute(sql("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True
