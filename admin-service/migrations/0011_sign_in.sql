-- Passwords are apart from users, so that nothing that reads or audits a user's row meets a hash. The hash says with which algorithm and
-- parameters it was made.
CREATE TABLE passwords (
    user_id TEXT NOT NULL PRIMARY KEY,
    hash TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- `id_hash` is SHA-256 of what the cookie holds. `bound_to` names the credentials of the environment that a session came from: it ends when
-- they change.
CREATE TABLE sessions (
    id_hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    method TEXT NOT NULL,
    bound_to TEXT,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expires_at ON sessions (expires_at);

-- Failed sign-ins of a source address or of a name. `attempts` are the failures and those whose end is not known yet.
CREATE TABLE sign_in_attempts (
    scope TEXT NOT NULL PRIMARY KEY,
    started_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL,
    over_at BIGINT NOT NULL
);
CREATE INDEX sign_in_attempts_by_over_at ON sign_in_attempts (over_at);

CREATE TABLE invitations (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    is_accepted SMALLINT NOT NULL,
    accepted_at BIGINT,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
CREATE INDEX invitations_by_user ON invitations (user_id, created_at);
