-- Every scope that a request was charged in beside its key, user, team and membership, as a JSON list of names; '' where there is none.
ALTER TABLE spend_logs ADD COLUMN charged TEXT NOT NULL DEFAULT '';
-- When the window of `spent` ends, for rows of kind 'scope', which no object's row describes: 0 where it never does.
ALTER TABLE spend_scopes ADD COLUMN window_end_ms BIGINT NOT NULL DEFAULT 0;
