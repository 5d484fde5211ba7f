"""Routing of tasks to executors."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE projects DROP CONSTRAINT projects_agent_command_check;
ALTER TABLE projects
    ADD CONSTRAINT projects_agent_command_check CHECK (executor <> 'acp' OR agent_command IS NOT NULL),
    ADD COLUMN routes jsonb NOT NULL DEFAULT '[]';

ALTER TABLE tasks
    ADD COLUMN kind text NOT NULL DEFAULT 'other' CHECK (length(kind) BETWEEN 1 AND 40),
    ADD COLUMN labels text[] NOT NULL DEFAULT '{}',
    ADD COLUMN executor text
        CHECK (executor IN ('command', 'native', 'opencode', 'claude', 'codex', 'qwen', 'acp')),
    ADD COLUMN model text CHECK (length(model) BETWEEN 1 AND 200);

ALTER TABLE attempts
    ADD COLUMN model text,
    ADD COLUMN route text,
    ADD COLUMN passed_over jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN attempts.route IS 'why this executor; null until planning has settled it';
COMMENT ON COLUMN attempts.passed_over IS 'choices that failed by their own fault: executor, model, code, text';
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
