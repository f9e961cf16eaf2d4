-- Answers of creating requests that carried an Idempotency-Key, sealed, for as long as a repeat gets the same one.
CREATE TABLE idempotent_answers (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    answer TEXT,
    expires_at BIGINT NOT NULL
);
CREATE INDEX idempotent_answers_expires_at ON idempotent_answers (expires_at);
