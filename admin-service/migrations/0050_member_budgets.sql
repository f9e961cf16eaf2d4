-- Members of organizations limit requests: when the records of their keys must be made anew.
ALTER TABLE organization_members ADD COLUMN refresh_at BIGINT;
CREATE INDEX organization_members_by_refresh_at ON organization_members (refresh_at);

-- A budget that is higher until a moment: nano-dollars more, and microseconds since the epoch.
ALTER TABLE budgets ADD COLUMN temp_budget_increase BIGINT;
ALTER TABLE budgets ADD COLUMN temp_budget_expiry BIGINT;
