-- What administrators took back of what scopes had spent: the sum of a window's rows in `spend_logs`, less its corrections here, is what
-- `spend_scopes` says. Numbered in each partition without gap: Redis applies them in that order, each once.
CREATE TABLE spend_corrections (
    partition_no BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (partition_no, sequence)
);
CREATE INDEX spend_corrections_by_object ON spend_corrections (kind, object_id, window_start_ms);
