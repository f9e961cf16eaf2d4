-- Holds what counting a user's keys needs, so that it does not read the wide rows.
DROP INDEX virtual_keys_by_user;
CREATE INDEX virtual_keys_by_user ON virtual_keys (user_id, created_at, key_type);
