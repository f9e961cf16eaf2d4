-- Customers (end users): made by an admin, or seen in a request. `record` is the name of the customer's record in Redis, a hash of the id. The
-- limits of a customer are those of the budget row.
CREATE TABLE customers (
    user_id TEXT NOT NULL PRIMARY KEY,
    rev BIGINT NOT NULL,
    record TEXT NOT NULL,
    alias TEXT,
    blocked SMALLINT NOT NULL,
    allowed_model_region TEXT,
    default_model TEXT,
    models TEXT NOT NULL,
    budget_id TEXT,
    refresh_at BIGINT,
    extra TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX customers_by_record ON customers (record);
CREATE INDEX customers_by_budget ON customers (budget_id);
CREATE INDEX customers_by_refresh_at ON customers (refresh_at);
CREATE INDEX customers_blocked ON customers (blocked, user_id);
