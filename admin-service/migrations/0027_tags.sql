-- Tags: made by an admin (`made`), or seen in a request. `spend` is what requests that carried it have
-- spent, ever. The limits of a tag are those of its budget row.
CREATE TABLE tags (
    tag_name TEXT NOT NULL PRIMARY KEY,
    made SMALLINT NOT NULL,
    description TEXT,
    models TEXT NOT NULL,
    model_info TEXT,
    budget_id TEXT,
    spend BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    created_by TEXT,
    updated_at BIGINT NOT NULL
);
CREATE INDEX tags_by_budget ON tags (budget_id);
CREATE INDEX tags_made ON tags (made, tag_name);
