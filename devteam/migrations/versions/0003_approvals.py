"""Approvals: questions that wait for a person."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = """
SELECT 1;
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
