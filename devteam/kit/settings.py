"""Settings from the environment: `DEVTEAM_…`, and `DATABASE_URL` as hosting platforms name it."""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WebSettings(BaseSettings):
    """What the web process needs to know. Values given to the constructor win over the environment."""

    model_config = SettingsConfigDict(env_prefix="DEVTEAM_", extra="ignore", populate_by_name=True, frozen=True)

    database_url: str = Field(validation_alias=AliasChoices("database_url", "DEVTEAM_DATABASE_URL", "DATABASE_URL"))
    data_folder: Path = Path("devteam-data")
    """The folder that the workers use too: the key that seals providers' secrets lies in it."""
    public_url: str | None = None
    """The address under which people reach the server, when a proxy stands before it; used in sign-in links."""
    allowed_origins: frozenset[str] = frozenset()
    """Origins besides the server's own whose pages may send commands, such as a development server's."""
    database_pool_size: int = Field(default=20, ge=1, le=200)
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    web_app: Path | None = None
    """Folder of the built web app, when it is not the one inside the package."""


class UpkeepSettings(BaseSettings):
    """What a worker clears away in its data folder, and when. Nothing goes before its state is proven to be in git."""

    model_config = SettingsConfigDict(env_prefix="DEVTEAM_", extra="ignore", frozen=True)

    workspace_retention_days: float = Field(default=7, ge=0)
    """How long the workspace of a failed attempt is kept for inspection."""
    workspaces_max_bytes: int = Field(default=20 * 1024**3, ge=0)
    """Above this, kept workspaces go before their time, the oldest first."""
    mirror_repack_days: float = Field(default=7, gt=0)
    """How often the objects of a mirror are packed together."""
    upkeep_interval_seconds: float = Field(default=600, ge=0.1)
