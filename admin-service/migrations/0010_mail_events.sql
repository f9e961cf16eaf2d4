-- What somebody may be told by mail: written in the transaction of what happened, taken up by whatever sends mail. `payload` is JSON and
-- holds no secret.
CREATE TABLE mail_events (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    taken_at BIGINT
);
CREATE INDEX mail_events_by_taken_at ON mail_events (taken_at, id);
