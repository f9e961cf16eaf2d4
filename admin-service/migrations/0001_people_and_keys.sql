-- One text for SQLite and PostgreSQL: TEXT (ids, JSON), BIGINT (nano-dollars, microseconds since the epoch, counts), SMALLINT (flags).
-- Names and meaning follow LiteLLM's tables. `rev` is the revision that Redis is given; it only grows.
-- `extra` holds fields that are kept and echoed without being acted on. From `refresh_at` on the published record must be made anew: its
-- calendar of budget windows runs short, or a temporary budget has ended.

CREATE TABLE budgets (
    budget_id TEXT NOT NULL PRIMARY KEY,
    max_budget BIGINT,
    soft_budget BIGINT,
    max_parallel_requests BIGINT,
    tpm_limit BIGINT,
    rpm_limit BIGINT,
    budget_duration TEXT,
    budget_anchor BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);

CREATE TABLE users (
    user_id TEXT NOT NULL PRIMARY KEY,
    rev BIGINT NOT NULL,
    user_alias TEXT,
    user_email TEXT,
    user_email_folded TEXT UNIQUE,
    sso_user_id TEXT UNIQUE,
    user_role TEXT,
    blocked SMALLINT,
    models TEXT NOT NULL,
    max_budget BIGINT,
    max_parallel_requests BIGINT,
    tpm_limit BIGINT,
    rpm_limit BIGINT,
    budget_duration TEXT,
    budget_anchor BIGINT,
    refresh_at BIGINT,
    metadata TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX users_by_refresh_at ON users (refresh_at);
CREATE INDEX users_by_created_at ON users (created_at);

CREATE TABLE teams (
    team_id TEXT NOT NULL PRIMARY KEY,
    rev BIGINT NOT NULL,
    team_alias TEXT,
    organization_id TEXT,
    blocked SMALLINT NOT NULL,
    models TEXT NOT NULL,
    model_aliases TEXT NOT NULL,
    max_budget BIGINT,
    soft_budget BIGINT,
    max_parallel_requests BIGINT,
    tpm_limit BIGINT,
    rpm_limit BIGINT,
    budget_duration TEXT,
    budget_anchor BIGINT,
    refresh_at BIGINT,
    team_member_permissions TEXT NOT NULL,
    metadata TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX teams_by_refresh_at ON teams (refresh_at);
CREATE INDEX teams_by_created_at ON teams (created_at);

-- `position` keeps the order in which members joined. The limits of a membership are those of its budget row.
CREATE TABLE team_members (
    team_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    rev BIGINT NOT NULL,
    position BIGINT NOT NULL,
    role TEXT NOT NULL,
    user_email TEXT,
    budget_id TEXT,
    refresh_at BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_by_user ON team_members (user_id);
CREATE INDEX team_members_by_budget ON team_members (budget_id);
CREATE INDEX team_members_by_refresh_at ON team_members (refresh_at);

-- `key_id` outlives a change of the key itself; `token` is SHA-256 of the key in lower-case hexadecimal.
CREATE TABLE virtual_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    rev BIGINT NOT NULL,
    token TEXT NOT NULL UNIQUE,
    key_name TEXT NOT NULL,
    key_alias TEXT UNIQUE,
    user_id TEXT,
    team_id TEXT,
    key_type TEXT,
    models TEXT NOT NULL,
    aliases TEXT NOT NULL,
    allowed_routes TEXT NOT NULL,
    blocked SMALLINT,
    expires BIGINT,
    max_budget BIGINT,
    max_parallel_requests BIGINT,
    tpm_limit BIGINT,
    rpm_limit BIGINT,
    budget_duration TEXT,
    budget_anchor BIGINT,
    budget_id TEXT,
    refresh_at BIGINT,
    permissions TEXT NOT NULL,
    metadata TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    updated_at BIGINT NOT NULL,
    updated_by TEXT,
    settings_updated_at BIGINT
);
CREATE INDEX virtual_keys_by_user ON virtual_keys (user_id, created_at);
CREATE INDEX virtual_keys_by_team ON virtual_keys (team_id, created_at);
-- Holds what counting and paging all keys need, so that neither reads the wide rows.
CREATE INDEX virtual_keys_by_created_at ON virtual_keys (created_at, key_id, key_type);
CREATE INDEX virtual_keys_by_budget ON virtual_keys (budget_id);
CREATE INDEX virtual_keys_by_refresh_at ON virtual_keys (refresh_at);

-- What a deleted key was, for `/key/info`; the newest row of a token counts.
CREATE TABLE deleted_keys (
    id TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    token TEXT NOT NULL,
    user_id TEXT,
    team_id TEXT,
    snapshot TEXT NOT NULL,
    deleted_at BIGINT NOT NULL,
    deleted_by TEXT
);
CREATE INDEX deleted_keys_by_token ON deleted_keys (token, deleted_at);

-- A deletion that Redis must be told, and must go on being told until nothing older can bring the object back.
CREATE TABLE tombstones (
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    rev BIGINT NOT NULL,
    token TEXT,
    user_id TEXT,
    team_id TEXT,
    PRIMARY KEY (kind, object_id)
);
CREATE INDEX tombstones_by_token ON tombstones (token);

-- Written in the transaction of the change; the publisher deletes a row once Redis holds that revision or a later one.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    rev BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Settings that live in the database and win over the file; also the master key's hash and revision.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    rev BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE audit_log (
    id TEXT NOT NULL PRIMARY KEY,
    updated_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_by_api_key TEXT NOT NULL,
    changed_from TEXT NOT NULL,
    action TEXT NOT NULL,
    table_name TEXT NOT NULL,
    object_id TEXT NOT NULL,
    before_value TEXT,
    updated_values TEXT
);
CREATE INDEX audit_log_by_object ON audit_log (table_name, object_id, updated_at);
CREATE INDEX audit_log_by_time ON audit_log (updated_at);
