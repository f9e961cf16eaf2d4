-- Organizations own teams and keys; their limits are those of their budget row. A key without team may belong to one by itself.

CREATE TABLE organizations (
    organization_id TEXT NOT NULL PRIMARY KEY,
    rev BIGINT NOT NULL,
    organization_alias TEXT NOT NULL,
    budget_id TEXT NOT NULL,
    models TEXT NOT NULL,
    refresh_at BIGINT,
    metadata TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
CREATE INDEX organizations_by_budget ON organizations (budget_id);
CREATE INDEX organizations_by_refresh_at ON organizations (refresh_at);
CREATE INDEX organizations_by_created_at ON organizations (created_at);

-- `user_role` is a role inside the organization: `org_admin`, or a global role's name, which gives nothing here.
CREATE TABLE organization_members (
    organization_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    user_role TEXT,
    budget_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_members_by_user ON organization_members (user_id);
CREATE INDEX organization_members_by_budget ON organization_members (budget_id);

ALTER TABLE virtual_keys ADD COLUMN organization_id TEXT;
CREATE INDEX virtual_keys_by_organization ON virtual_keys (organization_id);
CREATE INDEX teams_by_organization ON teams (organization_id, created_at);
CREATE INDEX teams_by_alias ON teams (team_alias);

-- What a deleted team was; its keys are in `deleted_keys`.
CREATE TABLE deleted_teams (
    id TEXT NOT NULL PRIMARY KEY,
    team_id TEXT NOT NULL,
    organization_id TEXT,
    snapshot TEXT NOT NULL,
    deleted_at BIGINT NOT NULL,
    deleted_by TEXT
);
CREATE INDEX deleted_teams_by_time ON deleted_teams (deleted_at);
