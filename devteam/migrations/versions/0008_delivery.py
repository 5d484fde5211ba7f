"""How work is handed over, and what is cleaned up."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE projects
    ADD COLUMN author_name text CHECK (length(author_name) BETWEEN 1 AND 100),
    ADD COLUMN author_email text CHECK (length(author_email) BETWEEN 3 AND 254);

ALTER TABLE attempts ADD COLUMN base_moves integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN attempts.base_moves IS 'rounds that were spent because the base moved under the delivery';

CREATE INDEX attempts_kept ON attempts (finished_at) WHERE workspace_kept;
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
