-- What keeps the ledger in order.

-- What scopes were charged by rows that are no longer in the log, and by keys' hashes (`kind` is `api_key`): with it, the rows that are left
-- add up to the totals for ever. Spend that never had rows belongs here too.
CREATE TABLE spend_without_rows (
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    total BIGINT NOT NULL,
    PRIMARY KEY (kind, object_id)
);

-- `complete_from_ms`: from this Redis time on the log holds every row.
CREATE TABLE ledger_state (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);

-- That spend crossed a soft budget (`mark` is `soft`), or a share of a budget (`share:80`): in which window, over how much, and when.
CREATE TABLE budget_marks (
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    mark TEXT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    threshold BIGINT NOT NULL,
    marked_at BIGINT NOT NULL,
    PRIMARY KEY (kind, object_id, mark)
);

INSERT INTO leases (name, holder, until_us) VALUES ('retention', '', 0);
INSERT INTO leases (name, holder, until_us) VALUES ('reconcile', '', 0);
