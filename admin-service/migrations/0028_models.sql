-- Models beside those of the file, in the shape of its `model_list`; they win over it. No credential of a provider is ever stored here.
CREATE TABLE proxy_models (
    model_id TEXT NOT NULL PRIMARY KEY,
    model_name TEXT NOT NULL,
    litellm_params TEXT NOT NULL,
    model_info TEXT NOT NULL,
    blocked SMALLINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
CREATE INDEX proxy_models_by_created_at ON proxy_models (created_at, model_id);

-- Named groups of models beside those that models name in `access_groups`.
CREATE TABLE access_groups (
    access_group_id TEXT NOT NULL PRIMARY KEY,
    access_group_name TEXT NOT NULL UNIQUE,
    description TEXT,
    access_model_names TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
);
