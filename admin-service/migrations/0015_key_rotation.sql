-- Rotation: a key's row and id stay, its value changes. `unclaimed`: nobody has seen the value, the service made it by itself.
ALTER TABLE virtual_keys ADD COLUMN auto_rotate SMALLINT;
ALTER TABLE virtual_keys ADD COLUMN rotation_interval TEXT;
ALTER TABLE virtual_keys ADD COLUMN rotation_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE virtual_keys ADD COLUMN last_rotation_at BIGINT;
ALTER TABLE virtual_keys ADD COLUMN key_rotation_at BIGINT;
ALTER TABLE virtual_keys ADD COLUMN unclaimed SMALLINT NOT NULL DEFAULT 0;
CREATE INDEX virtual_keys_by_rotation ON virtual_keys (key_rotation_at);

-- Values that a key had: valid beside its present one until `until_us`, and never given to another key. `listed`: Redis is told of it; 0 once
-- its end is so long ago that Redis has forgotten it.
CREATE TABLE former_tokens (
    token TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL,
    until_us BIGINT NOT NULL,
    listed SMALLINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX former_tokens_by_key ON former_tokens (key_id, listed);
CREATE INDEX former_tokens_by_end ON former_tokens (listed, until_us);
CREATE INDEX deleted_keys_by_key ON deleted_keys (key_id);

INSERT INTO leases (name, holder, until_us) VALUES ('key_rotation', '', 0);
