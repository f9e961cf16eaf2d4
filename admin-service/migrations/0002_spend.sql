-- The ledger's tables: what the spend stream said, once. Same column types as the tables before.

-- One row per answered request; `event_id` is the reservation's id, so a repeated event is the same row. `version` 0 was charged by a sweep as
-- reserved, 1 was settled; the higher one stands. `windows` remembers, for version 0 only, the budget window that each scope was charged in.
CREATE TABLE spend_logs (
    event_id TEXT NOT NULL PRIMARY KEY,
    version SMALLINT NOT NULL,
    partition_no BIGINT NOT NULL,
    settled_ms BIGINT NOT NULL,
    admitted_ms BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    first_byte_ms BIGINT,
    request_id TEXT NOT NULL,
    call_type TEXT NOT NULL,
    api_key TEXT NOT NULL,
    key_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    end_user TEXT NOT NULL,
    model TEXT NOT NULL,
    model_group TEXT NOT NULL,
    custom_llm_provider TEXT NOT NULL,
    http_status BIGINT NOT NULL,
    exact SMALLINT NOT NULL,
    spend BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    token_kinds TEXT NOT NULL,
    request_tags TEXT NOT NULL,
    requester_ip_address TEXT NOT NULL,
    windows TEXT NOT NULL
);
CREATE INDEX spend_logs_by_time ON spend_logs (admitted_ms);
CREATE INDEX spend_logs_by_api_key ON spend_logs (api_key, admitted_ms);
CREATE INDEX spend_logs_by_user ON spend_logs (user_id, admitted_ms);
CREATE INDEX spend_logs_by_request ON spend_logs (request_id);

-- Sums by day (UTC, of the admission). '' stands for "none".
CREATE TABLE daily_user_spend (
    user_id TEXT NOT NULL,
    date TEXT NOT NULL,
    api_key TEXT NOT NULL,
    model TEXT NOT NULL,
    model_group TEXT NOT NULL,
    custom_llm_provider TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    spend BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cache_read_input_tokens BIGINT NOT NULL,
    cache_creation_input_tokens BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    successful_requests BIGINT NOT NULL,
    failed_requests BIGINT NOT NULL,
    total_response_time_ms BIGINT NOT NULL,
    timed_requests BIGINT NOT NULL,
    PRIMARY KEY (user_id, date, api_key, model, model_group, custom_llm_provider, endpoint)
);
CREATE INDEX daily_user_spend_by_date ON daily_user_spend (date);
CREATE INDEX daily_user_spend_by_api_key ON daily_user_spend (api_key, date);

CREATE TABLE daily_team_spend (
    team_id TEXT NOT NULL,
    date TEXT NOT NULL,
    api_key TEXT NOT NULL,
    model TEXT NOT NULL,
    model_group TEXT NOT NULL,
    custom_llm_provider TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    spend BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cache_read_input_tokens BIGINT NOT NULL,
    cache_creation_input_tokens BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    successful_requests BIGINT NOT NULL,
    failed_requests BIGINT NOT NULL,
    total_response_time_ms BIGINT NOT NULL,
    timed_requests BIGINT NOT NULL,
    PRIMARY KEY (team_id, date, api_key, model, model_group, custom_llm_provider, endpoint)
);
CREATE INDEX daily_team_spend_by_date ON daily_team_spend (date);

-- What a scope has spent: in the budget window that began at `window_start_ms`, and ever. `kind` and `object_id` as in `outbox`.
CREATE TABLE spend_scopes (
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    partition_no BIGINT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    total BIGINT NOT NULL,
    last_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, object_id, partition_no)
);

-- The last settlement of each worker that a row was written for. Restored into Redis together with `spend_scopes`.
CREATE TABLE spend_watermarks (
    partition_no BIGINT NOT NULL,
    worker TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    seen_ms BIGINT NOT NULL,
    PRIMARY KEY (partition_no, worker)
);

-- Stream entries that could not be read as spend events, as they came.
CREATE TABLE spend_dead_letters (
    partition_no BIGINT NOT NULL,
    stream_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    fields TEXT NOT NULL,
    reason TEXT NOT NULL,
    found_at BIGINT NOT NULL,
    PRIMARY KEY (partition_no, stream_id, digest)
);

-- Who leads; the holder of `ledger` alone drains the spend stream.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until_us BIGINT NOT NULL
);

-- What Redis was given: `catalogue` (digest of models and settings, with its revision), `partitions` (P).
CREATE TABLE publish_state (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    rev BIGINT NOT NULL
);
INSERT INTO leases (name, holder, until_us) VALUES ('ledger', '', 0);
