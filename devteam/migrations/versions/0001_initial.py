"""Customers, projects, tasks, executions, attempts, events, workers and access.

Legal states live in constraints where SQL can say them: one open execution per customer, one running
attempt per customer and per project, dependencies only inside a customer, append-only events.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    priority_class text NOT NULL
        CHECK (priority_class IN ('priority_customer', 'standard_customer', 'low_priority_customer')),
    time_zone text NOT NULL DEFAULT 'UTC',
    archived_at timestamptz,
    created_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX customers_name ON customers (lower(name)) WHERE archived_at IS NULL;

CREATE TABLE projects (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    repository text NOT NULL CHECK (length(repository) BETWEEN 1 AND 2048),
    base_branch text NOT NULL CHECK (length(base_branch) BETWEEN 1 AND 250),
    executor text NOT NULL CHECK (executor IN ('command')),
    delivery_mode text NOT NULL CHECK (delivery_mode IN ('branch', 'fast_forward', 'merge_commit')),
    gates jsonb NOT NULL DEFAULT '[]',
    monitoring_window_seconds double precision NOT NULL CHECK (monitoring_window_seconds >= 0),
    archived_at timestamptz,
    created_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (id, customer_id)
);
CREATE UNIQUE INDEX projects_name ON projects (customer_id, lower(name)) WHERE archived_at IS NULL;

CREATE TABLE tasks (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers,
    project_id uuid NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 300),
    description text NOT NULL DEFAULT '',
    command jsonb,
    acceptance_criteria jsonb NOT NULL DEFAULT '[]',
    mode text NOT NULL CHECK (mode IN ('autonomous', 'manual')),
    priority smallint NOT NULL DEFAULT 3 CHECK (priority BETWEEN 1 AND 5),
    position double precision NOT NULL,
    estimate_seconds double precision CHECK (estimate_seconds > 0),
    assignee text,
    status text NOT NULL CHECK (status IN ('pending', 'in_progress', 'verifying', 'completed', 'error_solving',
        'blocked', 'failed', 'skipped', 'cancelled')),
    reason_code text,
    reason text,
    attempts integer NOT NULL DEFAULT 0,
    last_attempt_id uuid,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (id, customer_id),
    FOREIGN KEY (project_id, customer_id) REFERENCES projects (id, customer_id),
    CHECK ((reason_code IS NULL) = (reason IS NULL)),
    CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'failed', 'skipped', 'cancelled')))
);
CREATE INDEX tasks_queue ON tasks (customer_id, position, id)
    WHERE status IN ('pending', 'in_progress', 'verifying', 'error_solving', 'blocked');
CREATE INDEX tasks_of_customer ON tasks (customer_id, status);
CREATE INDEX tasks_completed ON tasks (finished_at) WHERE status = 'completed';

CREATE TABLE task_dependencies (
    customer_id uuid NOT NULL,
    task_id uuid NOT NULL,
    depends_on_id uuid NOT NULL,
    PRIMARY KEY (task_id, depends_on_id),
    FOREIGN KEY (task_id, customer_id) REFERENCES tasks (id, customer_id),
    FOREIGN KEY (depends_on_id, customer_id) REFERENCES tasks (id, customer_id),
    CHECK (task_id <> depends_on_id)
);
CREATE INDEX task_dependents ON task_dependencies (depends_on_id);
CREATE INDEX task_dependencies_of_customer ON task_dependencies (customer_id);

CREATE TABLE workers (
    id uuid PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    process_started text NOT NULL,
    slots integer NOT NULL CHECK (slots >= 0),
    isolation text NOT NULL,
    state text NOT NULL CHECK (state IN ('alive', 'draining', 'dead')),
    started_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    lease_expires_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX workers_alive ON workers (id) WHERE state <> 'dead';

CREATE TABLE executions (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers,
    status text NOT NULL CHECK (status IN ('queued', 'active', 'paused', 'error', 'completed', 'aborted')),
    reason_code text,
    reason text,
    pause_requested text CHECK (pause_requested IN ('now', 'after_current_task')),
    auto_continue boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (id, customer_id),
    CHECK ((reason_code IS NULL) = (reason IS NULL)),
    CHECK ((finished_at IS NOT NULL) = (status IN ('completed', 'aborted'))),
    CHECK (pause_requested IS NULL OR status IN ('queued', 'active'))
);
CREATE UNIQUE INDEX executions_one_open ON executions (customer_id) WHERE status NOT IN ('completed', 'aborted');
CREATE INDEX executions_of_customer ON executions (customer_id, id DESC);

CREATE TABLE attempts (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    task_id uuid NOT NULL,
    project_id uuid NOT NULL,
    number integer NOT NULL CHECK (number >= 1),
    run integer NOT NULL DEFAULT 1 CHECK (run >= 1),
    worker_id uuid REFERENCES workers,
    lease_expires_at timestamptz,
    executor text NOT NULL,
    isolation text,
    phase text NOT NULL CHECK (phase IN ('planning', 'execution', 'quality_assurance', 'delivery', 'monitoring')),
    phase_started_at timestamptz NOT NULL,
    round integer NOT NULL DEFAULT 1,
    outcome text CHECK (outcome IN ('succeeded', 'failed', 'cancelled', 'superseded', 'lost')),
    monitoring text CHECK (monitoring IN ('watching', 'passed', 'regressed', 'not_merged', 'skipped')),
    monitor_at timestamptz,
    monitor_until timestamptz,
    stop_requested text CHECK (stop_requested IN ('cancel', 'abort', 'emergency')),
    frozen boolean NOT NULL DEFAULT false,
    reason_code text,
    reason text,
    branch text,
    base_commit text,
    work_commit text,
    commit text,
    merged_commit text,
    revert_commit text,
    diff_stat jsonb,
    workspace_path text,
    workspace_kept boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (task_id, number),
    FOREIGN KEY (task_id, customer_id) REFERENCES tasks (id, customer_id),
    FOREIGN KEY (project_id, customer_id) REFERENCES projects (id, customer_id),
    FOREIGN KEY (execution_id, customer_id) REFERENCES executions (id, customer_id),
    CHECK ((reason_code IS NULL) = (reason IS NULL)),
    CHECK ((finished_at IS NOT NULL) = (outcome IS NOT NULL)),
    CHECK (monitoring IS NULL OR (phase = 'monitoring' AND outcome IS NOT NULL)),
    CHECK (outcome IS NOT NULL OR phase <> 'monitoring')
);
CREATE UNIQUE INDEX attempts_one_running_per_project ON attempts (project_id) WHERE outcome IS NULL;
CREATE UNIQUE INDEX attempts_one_running_per_task ON attempts (task_id) WHERE outcome IS NULL;
CREATE INDEX attempts_running ON attempts (customer_id) WHERE outcome IS NULL;
CREATE INDEX attempts_watching ON attempts (monitor_at) WHERE monitoring = 'watching';
CREATE INDEX attempts_of_customer ON attempts (customer_id, id DESC);

CREATE TABLE attempt_phases (
    attempt_id uuid NOT NULL REFERENCES attempts,
    ordinal integer NOT NULL,
    phase text NOT NULL,
    round integer NOT NULL,
    run integer NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (attempt_id, ordinal)
);

CREATE TABLE gate_results (
    id uuid PRIMARY KEY,
    attempt_id uuid NOT NULL REFERENCES attempts,
    round integer NOT NULL,
    stage text NOT NULL
        CHECK (stage IN ('pre_execution', 'baseline', 'acceptance', 'post_task', 'post_merge')),
    name text NOT NULL,
    required boolean NOT NULL,
    commit text,
    passed boolean,
    base_red boolean,
    exit_code integer,
    seconds double precision,
    tests jsonb,
    text text NOT NULL,
    output_tail text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    UNIQUE (attempt_id, round, stage, name)
);

CREATE TABLE gate_baselines (
    project_id uuid NOT NULL REFERENCES projects,
    commit text NOT NULL,
    fingerprint text NOT NULL,
    result jsonb NOT NULL,
    measured_at timestamptz NOT NULL,
    PRIMARY KEY (project_id, commit, fingerprint)
);

CREATE TABLE attempt_output (
    attempt_id uuid NOT NULL REFERENCES attempts,
    "offset" bigint NOT NULL,
    text text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (attempt_id, "offset")
);

CREATE TABLE attempt_diffs (
    attempt_id uuid PRIMARY KEY REFERENCES attempts,
    diff text NOT NULL,
    truncated boolean NOT NULL
);

CREATE TABLE stream_heads (
    stream uuid PRIMARY KEY,
    version bigint NOT NULL DEFAULT 0
);

CREATE TABLE events (
    stream uuid NOT NULL,
    version bigint NOT NULL,
    id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    actor text NOT NULL,
    subject_kind text NOT NULL,
    subject_id uuid,
    reason text,
    data jsonb NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL,
    PRIMARY KEY (stream, version)
);

CREATE UNLOGGED TABLE live_changes (
    stream uuid NOT NULL,
    version bigint NOT NULL,
    changes jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (stream, version)
);
CREATE INDEX live_changes_at ON live_changes (at);

CREATE TABLE customer_cards (
    customer_id uuid PRIMARY KEY REFERENCES customers,
    version integer NOT NULL,
    next_task_id uuid,
    view jsonb NOT NULL
);

CREATE TABLE customer_metrics (
    customer_id uuid PRIMARY KEY REFERENCES customers,
    health jsonb,
    time_remaining jsonb,
    computed_at timestamptz NOT NULL
);

CREATE TABLE leader (
    role text PRIMARY KEY,
    worker_id uuid,
    expires_at timestamptz NOT NULL,
    state jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
    role text NOT NULL CHECK (role IN ('admin', 'project_manager', 'developer', 'viewer')),
    all_customers boolean NOT NULL,
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX users_name ON users (lower(name));

CREATE TABLE user_customers (
    user_id uuid NOT NULL REFERENCES users,
    customer_id uuid NOT NULL REFERENCES customers,
    PRIMARY KEY (user_id, customer_id)
);

CREATE TABLE credentials (
    token_hash bytea PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    kind text NOT NULL CHECK (kind IN ('session', 'api_token', 'login_link')),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    used_at timestamptz
);

CREATE TABLE idempotency_keys (
    key text NOT NULL,
    user_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    status integer NOT NULL,
    response jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);

CREATE FUNCTION events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only';
END $$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION events_are_append_only();
CREATE TRIGGER events_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION events_are_append_only();
"""


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind()
    connection.exec_driver_sql(TABLES)


def downgrade() -> None:
    """The first revision has nothing below it."""
    raise RuntimeError("there is no revision before the first one")
