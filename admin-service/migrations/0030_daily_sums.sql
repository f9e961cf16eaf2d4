-- Sums by day for every dimension that reports ask for, and what guards them.

ALTER TABLE spend_logs ADD COLUMN organization_id TEXT NOT NULL DEFAULT '';
-- The columns that the log is filtered by most; rows without a team, customer or organisation cost these nothing.
CREATE INDEX spend_logs_by_team ON spend_logs (team_id, admitted_ms) WHERE team_id <> '';
CREATE INDEX spend_logs_by_organization ON spend_logs (organization_id, admitted_ms) WHERE organization_id <> '';
CREATE INDEX spend_logs_by_end_user ON spend_logs (end_user, admitted_ms) WHERE end_user <> '';
CREATE INDEX spend_logs_by_model ON spend_logs (model, admitted_ms);
CREATE INDEX spend_logs_of_failures ON spend_logs (admitted_ms) WHERE http_status < 200 OR http_status > 299;

-- `cache_hits`: requests answered with success whose prompt was read from a provider's prompt cache, at least in part.
ALTER TABLE daily_user_spend ADD COLUMN cache_hits BIGINT NOT NULL DEFAULT 0;
ALTER TABLE daily_team_spend ADD COLUMN cache_hits BIGINT NOT NULL DEFAULT 0;
-- In the order in which activity is paged.
DROP INDEX daily_user_spend_by_date;
DROP INDEX daily_team_spend_by_date;
CREATE INDEX daily_user_spend_by_date ON daily_user_spend (date, user_id, api_key);
CREATE INDEX daily_team_spend_by_date ON daily_team_spend (date, team_id, api_key);
CREATE INDEX daily_team_spend_by_api_key ON daily_team_spend (api_key, date);

CREATE TABLE daily_organization_spend (
    organization_id TEXT NOT NULL,
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
    cache_hits BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    successful_requests BIGINT NOT NULL,
    failed_requests BIGINT NOT NULL,
    total_response_time_ms BIGINT NOT NULL,
    timed_requests BIGINT NOT NULL,
    PRIMARY KEY (organization_id, date, api_key, model, model_group, custom_llm_provider, endpoint)
);
CREATE INDEX daily_organization_spend_by_date ON daily_organization_spend (date, organization_id, api_key);
CREATE INDEX daily_organization_spend_by_api_key ON daily_organization_spend (api_key, date);

CREATE TABLE daily_end_user_spend (
    end_user_id TEXT NOT NULL,
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
    cache_hits BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    successful_requests BIGINT NOT NULL,
    failed_requests BIGINT NOT NULL,
    total_response_time_ms BIGINT NOT NULL,
    timed_requests BIGINT NOT NULL,
    PRIMARY KEY (end_user_id, date, api_key, model, model_group, custom_llm_provider, endpoint)
);
CREATE INDEX daily_end_user_spend_by_date ON daily_end_user_spend (date, end_user_id, api_key);
CREATE INDEX daily_end_user_spend_by_api_key ON daily_end_user_spend (api_key, date);

CREATE TABLE daily_tag_spend (
    tag TEXT NOT NULL,
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
    cache_hits BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    successful_requests BIGINT NOT NULL,
    failed_requests BIGINT NOT NULL,
    total_response_time_ms BIGINT NOT NULL,
    timed_requests BIGINT NOT NULL,
    PRIMARY KEY (tag, date, api_key, model, model_group, custom_llm_provider, endpoint)
);
CREATE INDEX daily_tag_spend_by_date ON daily_tag_spend (date, tag, api_key);
CREATE INDEX daily_tag_spend_by_api_key ON daily_tag_spend (api_key, date);

-- The same without the key, so that reports over everything read few rows. `kind` is `all` (then `entity_id` is ''), `team`, `organization`,
-- `end_user` or `tag`.
CREATE TABLE daily_spend (
    kind TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    date TEXT NOT NULL,
    model TEXT NOT NULL,
    model_group TEXT NOT NULL,
    custom_llm_provider TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    spend BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    cache_read_input_tokens BIGINT NOT NULL,
    cache_creation_input_tokens BIGINT NOT NULL,
    cache_hits BIGINT NOT NULL,
    api_requests BIGINT NOT NULL,
    successful_requests BIGINT NOT NULL,
    failed_requests BIGINT NOT NULL,
    total_response_time_ms BIGINT NOT NULL,
    timed_requests BIGINT NOT NULL,
    PRIMARY KEY (kind, entity_id, date, model, model_group, custom_llm_provider, endpoint)
);
CREATE INDEX daily_spend_by_date ON daily_spend (kind, date);

-- Requests that failed, by HTTP status; 0 where no answer came.
CREATE TABLE daily_errors (
    date TEXT NOT NULL,
    api_key TEXT NOT NULL,
    user_id TEXT NOT NULL,
    model_group TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    http_status BIGINT NOT NULL,
    requests BIGINT NOT NULL,
    PRIMARY KEY (date, api_key, user_id, model_group, endpoint, http_status)
);

-- What each key has ever spent, so that the keys that spent most are found without adding up all others.
CREATE TABLE api_key_spend (
    api_key TEXT NOT NULL PRIMARY KEY,
    spend BIGINT NOT NULL,
    last_date TEXT NOT NULL
);
CREATE INDEX api_key_spend_by_spend ON api_key_spend (spend, api_key, last_date);
CREATE INDEX spend_scopes_by_spent ON spend_scopes (kind, spent);
CREATE INDEX deleted_keys_of_user ON deleted_keys (user_id);
