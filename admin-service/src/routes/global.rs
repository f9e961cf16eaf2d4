//! What everybody spent together, and how many requests there were.

mod activity;
mod cache_hits;
mod report;
mod reset;
mod spend;

pub use activity::{
    ACTIVITY, ACTIVITY_QUERY, BY_MODEL, EXCEPTIONS, EXCEPTIONS_QUERY, activity, by_model,
    exceptions,
};
pub use cache_hits::{CACHE_HITS, CACHE_HITS_QUERY, cache_hits};
pub use report::{REPORT, REPORT_QUERY, report};
pub use reset::{RESET, reset};
pub use spend::{
    DAYS, END_USERS, KEYS, KEYS_QUERY, LOGS_QUERY, MODELS, PROVIDERS, PROVIDERS_QUERY, SPEND,
    TAG_NAMES, TAGS, TAGS_QUERY, TEAMS, end_users, keys, logs, models, providers, spend, tag_names,
    tags, teams,
};
