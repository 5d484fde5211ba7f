"""Providers that speak Google's protocol, and the agent that needs one."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE model_providers DROP CONSTRAINT model_providers_kind_check;
ALTER TABLE model_providers
    ADD CONSTRAINT model_providers_kind_check CHECK (kind IN ('openai', 'anthropic', 'google'));

ALTER TABLE projects DROP CONSTRAINT projects_executor_check;
ALTER TABLE projects
    ADD CONSTRAINT projects_executor_check
        CHECK (executor IN ('command', 'native', 'opencode', 'claude', 'codex', 'gemini', 'qwen', 'acp'));

ALTER TABLE tasks DROP CONSTRAINT tasks_executor_check;
ALTER TABLE tasks
    ADD CONSTRAINT tasks_executor_check
        CHECK (executor IN ('command', 'native', 'opencode', 'claude', 'codex', 'gemini', 'qwen', 'acp'));
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
