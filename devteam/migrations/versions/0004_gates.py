"""Gates beyond commands."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE gate_results ADD COLUMN measures jsonb NOT NULL DEFAULT '[]';
ALTER TABLE gate_results DROP CONSTRAINT gate_results_stage_check;
ALTER TABLE gate_results ADD CONSTRAINT gate_results_stage_check
    CHECK (stage IN ('pre_execution', 'baseline', 'acceptance', 'post_task', 'post_merge', 'post_execution'));

-- Whether the customer's execution waits for the gates of stage post_execution, which this attempt's run looks after:
-- it is the newest delivery to its project.
ALTER TABLE attempts ADD COLUMN closing text CHECK (closing IN ('due', 'passed', 'failed'));
CREATE INDEX attempts_closing ON attempts (id) WHERE closing = 'due';
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
