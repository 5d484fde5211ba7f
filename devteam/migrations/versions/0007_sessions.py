"""Sessions as a developer works with them."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE attempt_rounds (
    attempt_id uuid NOT NULL REFERENCES attempts,
    round integer NOT NULL CHECK (round >= 1),
    base_commit text NOT NULL,
    work_commit text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (attempt_id, round)
);

CREATE TABLE attempt_requests (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    task_id uuid NOT NULL,
    base_attempt_id uuid NOT NULL REFERENCES attempts,
    attempt_id uuid UNIQUE REFERENCES attempts,
    kind text NOT NULL CHECK (kind IN ('run_again', 'send_back', 'hand_back')),
    from_round integer,
    from_ordinal integer,
    base_commit text,
    start_commit text,
    onto_commit text,
    branch text,
    by_agent boolean NOT NULL,
    executor text,
    model text CHECK (length(model) BETWEEN 1 AND 200),
    budget_usd double precision CHECK (budget_usd > 0),
    instructions text CHECK (length(instructions) BETWEEN 1 AND 20000),
    author text NOT NULL,
    bundle bytea,
    requested_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    FOREIGN KEY (task_id, customer_id) REFERENCES tasks (id, customer_id),
    CHECK (start_commit IS NULL OR base_commit IS NOT NULL),
    CHECK (kind <> 'hand_back' OR (start_commit IS NOT NULL AND bundle IS NOT NULL)),
    CHECK (attempt_id IS NULL OR withdrawn_at IS NULL)
);
CREATE UNIQUE INDEX attempt_requests_waiting ON attempt_requests (task_id)
    WHERE attempt_id IS NULL AND withdrawn_at IS NULL;
COMMENT ON COLUMN attempt_requests.by_agent IS
    'whether the files at start_commit may hold what an agent wrote, so that nothing of them runs without a fence';

ALTER TABLE attempts
    ADD COLUMN taken_over_by text,
    ADD COLUMN taken_over_at timestamptz,
    ADD CONSTRAINT attempts_taken_over_check CHECK ((taken_over_by IS NULL) = (taken_over_at IS NULL)),
    DROP CONSTRAINT attempts_stop_requested_check,
    ADD CONSTRAINT attempts_stop_requested_check
        CHECK (stop_requested IN ('cancel', 'abort', 'emergency', 'take_over'));
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
