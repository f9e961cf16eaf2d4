-- What a budget row says beyond its limits: tokens a day, budgets by model (JSON object or NULL), models (JSON list).
ALTER TABLE budgets ADD COLUMN tpd_limit BIGINT;
ALTER TABLE budgets ADD COLUMN model_max_budget TEXT;
ALTER TABLE budgets ADD COLUMN allowed_models TEXT NOT NULL DEFAULT '[]';
CREATE INDEX budgets_by_created_at ON budgets (created_at, budget_id);
