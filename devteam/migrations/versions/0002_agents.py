"""Real coding agents: model providers, what agents said and did, what it cost."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE model_providers (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    kind text NOT NULL CHECK (kind IN ('openai', 'anthropic')),
    base_url text NOT NULL CHECK (length(base_url) BETWEEN 1 AND 2048),
    sealed_secret bytea,
    models jsonb NOT NULL DEFAULT '[]',
    position integer NOT NULL,
    parked_until timestamptz,
    parked_reason text,
    archived_at timestamptz,
    created_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1,
    CHECK ((parked_until IS NULL) = (parked_reason IS NULL))
);
CREATE UNIQUE INDEX model_providers_name ON model_providers (lower(name)) WHERE archived_at IS NULL;

CREATE TABLE model_prices (
    model text PRIMARY KEY CHECK (length(model) BETWEEN 1 AND 200),
    input_usd double precision NOT NULL CHECK (input_usd >= 0),
    cached_usd double precision NOT NULL CHECK (cached_usd >= 0),
    output_usd double precision NOT NULL CHECK (output_usd >= 0),
    set_at timestamptz NOT NULL
);
COMMENT ON TABLE model_prices IS 'US dollars per million tokens; wins over the built-in dated price table';

CREATE TABLE attempt_calls (
    id uuid PRIMARY KEY,
    attempt_id uuid NOT NULL REFERENCES attempts,
    provider_id uuid NOT NULL REFERENCES model_providers,
    model text NOT NULL,
    status integer NOT NULL,
    input_tokens integer NOT NULL DEFAULT 0,
    cached_tokens integer NOT NULL DEFAULT 0,
    output_tokens integer NOT NULL DEFAULT 0,
    cost_usd double precision,
    seconds double precision NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX attempt_calls_of_attempt ON attempt_calls (attempt_id);

CREATE TABLE attempt_entries (
    attempt_id uuid NOT NULL REFERENCES attempts,
    ordinal integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('prompt', 'message', 'thought', 'plan', 'tool_call', 'tool_update',
        'permission', 'usage', 'note', 'steer')),
    data jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (attempt_id, ordinal)
);

CREATE TABLE attempt_guidance (
    id uuid PRIMARY KEY,
    attempt_id uuid NOT NULL REFERENCES attempts,
    text text NOT NULL CHECK (length(text) BETWEEN 1 AND 20000),
    author text NOT NULL,
    at timestamptz NOT NULL,
    taken_at timestamptz
);
CREATE INDEX attempt_guidance_waiting ON attempt_guidance (attempt_id, id) WHERE taken_at IS NULL;

ALTER TABLE projects DROP CONSTRAINT projects_executor_check;
ALTER TABLE projects
    ADD CONSTRAINT projects_executor_check
        CHECK (executor IN ('command', 'native', 'opencode', 'claude', 'codex', 'qwen', 'acp')),
    ADD COLUMN model text CHECK (length(model) BETWEEN 1 AND 200),
    ADD COLUMN agent_command jsonb,
    ADD COLUMN budget_usd double precision CHECK (budget_usd > 0),
    ADD CONSTRAINT projects_agent_command_check CHECK ((executor = 'acp') = (agent_command IS NOT NULL));

ALTER TABLE attempts
    ADD COLUMN session_id text,
    ADD COLUMN prompt_version text;
"""


def upgrade() -> None:
    """Add what agents need."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with agents' work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what agents did")
