-- Which keys and teams have a group of models: they follow the `access_group_ids` that these keep.
CREATE TABLE access_group_links (
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    access_group_id TEXT NOT NULL,
    PRIMARY KEY (access_group_id, kind, object_id)
);
CREATE INDEX access_group_links_by_object ON access_group_links (kind, object_id);
