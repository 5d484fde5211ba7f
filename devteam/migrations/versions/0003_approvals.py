"""Approvals: questions that wait for a person."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE approvals (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers,
    project_id uuid NOT NULL REFERENCES projects,
    task_id uuid NOT NULL REFERENCES tasks,
    attempt_id uuid NOT NULL REFERENCES attempts,
    kind text NOT NULL CHECK (kind IN ('agent_permission', 'agent_question', 'protected_paths', 'weakened_tests',
        'dependency_change', 'follow_up_task', 'escape', 'review')),
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'approved', 'rejected', 'expired')),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 300),
    detail text NOT NULL CHECK (length(detail) <= 20000),
    data jsonb NOT NULL DEFAULT '{}',
    fingerprint text NOT NULL CHECK (length(fingerprint) BETWEEN 1 AND 200),
    answer text CHECK (length(answer) <= 20000),
    answered_by text,
    requested_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    answered_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (attempt_id, kind, fingerprint),
    CHECK ((status = 'pending') = (answered_at IS NULL)),
    CHECK ((status IN ('approved', 'rejected')) = (answered_by IS NOT NULL))
);
CREATE INDEX approvals_of_customer ON approvals (customer_id, id);
CREATE INDEX approvals_waiting ON approvals (expires_at) WHERE status = 'pending';

ALTER TABLE attempts ADD COLUMN awaiting_approval_id uuid REFERENCES approvals;
COMMENT ON COLUMN attempts.awaiting_approval_id IS 'The question that the attempt waits with; it holds no slot then';

UPDATE customer_cards SET view = view || '{"approvalsPending": 0}';

ALTER TABLE projects
    ADD COLUMN protected_paths jsonb NOT NULL DEFAULT '[".github/**", ".gitlab-ci.yml", ".gitlab/**",
        ".circleci/**", "Jenkinsfile", "azure-pipelines.yml", "bitbucket-pipelines.yml", ".drone.yml", ".travis.yml",
        "**/*.lock", "**/package-lock.json", "**/npm-shrinkwrap.json", "**/pnpm-lock.yaml", "**/go.sum",
        "**/migrations/**"]',
    ADD COLUMN refused_commands jsonb NOT NULL DEFAULT '["git push", "git remote", "sudo", "su", "doas", "pkexec",
        "docker", "podman", "kubectl", "npm publish", "twine upload", "cargo publish", "gh", "glab"]';
"""


def upgrade() -> None:
    """Apply."""
    op.get_bind().exec_driver_sql(STATEMENTS)


def downgrade() -> None:
    """A database with work in it does not go back."""
    raise RuntimeError("the revision before cannot hold what is stored now")
