"""Incidents: what went wrong and matters."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE incidents (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers,
    project_id uuid REFERENCES projects,
    task_id uuid REFERENCES tasks,
    attempt_id uuid REFERENCES attempts,
    class text NOT NULL CHECK (class IN ('RECOVERABLE', 'INTERVENTION_REQUIRED', 'CRITICAL', 'TASK_FAILURE')),
    code text NOT NULL CHECK (length(code) BETWEEN 1 AND 80),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 600),
    evidence jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL CHECK (status IN ('open', 'recovering', 'escalated', 'acknowledged', 'resolved')),
    opened_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolved_by text,
    resolution text,
    count integer NOT NULL DEFAULT 1 CHECK (count >= 1),
    version integer NOT NULL DEFAULT 1,
    CHECK ((resolved_at IS NOT NULL) = (status = 'resolved')),
    CHECK ((resolved_by IS NOT NULL) = (status = 'resolved'))
);
CREATE UNIQUE INDEX incidents_one_of_a_kind ON incidents (attempt_id, code) WHERE status <> 'resolved';
CREATE INDEX incidents_of_customer ON incidents (customer_id, id DESC);
CREATE INDEX incidents_unsettled ON incidents (customer_id) WHERE status <> 'resolved';

ALTER TABLE projects ADD COLUMN egress_allow jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN projects.egress_allow IS 'hosts that agents and their gates may reach: name, *.name, each with :port';

ALTER TABLE attempts
    ADD COLUMN fence jsonb,
    ADD COLUMN overshoot_usd double precision CHECK (overshoot_usd >= 0);
COMMENT ON COLUMN attempts.fence IS 'what was in force when commands of the attempt ran, part by part';
COMMENT ON COLUMN attempts.overshoot_usd IS 'measured where the budget stopped it: most that was spent beyond it';

UPDATE customer_cards SET view = view || '{"incidentsOpen": 0}';
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
