//! The routes of spend and activity.

use crate::openapi::schema::one;
use crate::policy::Action as A;
use crate::request::{CALCULATE, END_USERS};
use crate::router::row::{Row, get, post};
use crate::routes::answer::TRUNCATED;
use crate::routes::{activity, global, spend};

pub(super) fn rows() -> Vec<Row> {
    [spend_rows(), activities()].concat()
}

#[rustfmt::skip]
fn spend_rows() -> Vec<Row> {
    vec![
        get( A::SpendLogs,     "/spend/logs",               "view_spend_logs",   spend::logs).query(spend::LOGS_QUERY).tells(&[TRUNCATED]).json(spend::LOGS),
        get( A::SpendLogs,     "/spend/logs/v2",            "spend_logs_v2",     spend::v2).query(spend::PAGE_QUERY).json(one(&spend::PAGE)),
        get( A::SpendLogs,     "/spend/logs/ui",            "ui_view_spend_logs", spend::sessions).query(spend::PAGE_QUERY).json(one(&spend::SESSIONS)),
        get( A::SpendLogs,     "/spend/logs/ui/{request_id}", "ui_view_request_response_for_request_id", spend::request).also(&[404]).json(spend::REQUEST),
        get( A::SpendReports,  "/spend/keys",               "spend_key_fn",      spend::keys).query(spend::KEYS_QUERY).json(spend::KEYS),
        get( A::SpendReports,  "/spend/users",              "spend_user_fn",     spend::users).query(spend::USERS_QUERY).json(spend::USERS),
        get( A::SpendReports,  "/spend/tags",               "view_spend_tags",   spend::tags).query(spend::TAGS_QUERY).json(spend::TAGS),
        post(A::SpendCalculate, "/spend/calculate",         "calculate_spend",   spend::calculate).body(CALCULATE).json(one(&spend::COST)),
        get( A::SpendReports,  "/key/spend/report",         "key_spend_report",  spend::key_report).query(spend::KEY_REPORT_QUERY).json(spend::REPORT),
        get( A::SpendReports,  "/user/spend/report",        "user_spend_report", spend::user_report).query(spend::USER_REPORT_QUERY).json(spend::REPORT),
        get( A::TeamSpendReport, "/team/spend/report",        "team_spend_report", spend::team_report).query(spend::TEAM_REPORT_QUERY).json(spend::REPORT),
        get( A::OrganizationSpendReport, "/organization/spend/report", "organization_spend_report", spend::organization_report).query(spend::ORGANIZATION_REPORT_QUERY).json(spend::REPORT),
        get( A::GlobalSpend,   "/global/spend",             "global_spend",      global::spend).json(one(&global::SPEND)),
        get( A::GlobalSpend,   "/global/spend/logs",        "global_spend_logs", global::logs).query(global::LOGS_QUERY).json(global::DAYS),
        get( A::GlobalSpend,   "/global/spend/keys",        "global_spend_keys", global::keys).query(global::KEYS_QUERY).json(global::KEYS),
        get( A::GlobalSpend,   "/global/spend/models",      "global_spend_models", global::models).query(global::KEYS_QUERY).json(global::MODELS),
        get( A::GlobalSpend,   "/global/spend/teams",       "global_spend_per_team", global::teams).json(one(&global::TEAMS)),
        get( A::GlobalSpend,   "/global/spend/provider",    "get_global_spend_provider", global::providers).query(global::PROVIDERS_QUERY).json(global::PROVIDERS),
        get( A::GlobalSpend,   "/global/spend/tags",        "global_view_spend_tags", global::tags).query(global::TAGS_QUERY).json(one(&global::TAGS)),
        get( A::GlobalSpend,   "/global/spend/all_tag_names", "global_get_all_tag_names", global::tag_names).json(one(&global::TAG_NAMES)),
        get( A::GlobalSpend,   "/global/spend/report",      "get_global_spend_report", global::report).query(global::REPORT_QUERY).json(global::REPORT),
        post(A::GlobalSpend,   "/global/spend/end_users",   "global_spend_end_users", global::end_users).body(END_USERS).json(global::END_USERS),
        post(A::GlobalSpendReset, "/global/spend/reset",    "global_spend_reset", global::reset).json(one(&global::RESET)),
        get( A::GlobalActivity, "/global/activity",         "get_global_activity", global::activity).query(global::ACTIVITY_QUERY).json(one(&global::ACTIVITY)),
        get( A::GlobalActivity, "/global/activity/model",   "get_global_activity_model", global::by_model).query(global::ACTIVITY_QUERY).json(global::BY_MODEL),
        get( A::GlobalActivity, "/global/activity/cache_hits", "get_global_activity_cache_hits", global::cache_hits).query(global::CACHE_HITS_QUERY).json(one(&global::CACHE_HITS)),
        get( A::GlobalExceptions, "/global/activity/exceptions", "get_global_activity_exceptions", global::exceptions).query(global::EXCEPTIONS_QUERY).json(one(&global::EXCEPTIONS)),
    ]
}

#[rustfmt::skip]
fn activities() -> Vec<Row> {
    vec![
        get( A::UserActivity, "/user/daily/activity", "get_user_daily_activity", activity::user).query(activity::USER_QUERY).json(one(&activity::ACTIVITY)),
        get( A::UserActivity, "/user/daily/activity/aggregated", "get_user_daily_activity_aggregated", activity::user_aggregated).query(activity::USER_AGGREGATED_QUERY).json(one(&activity::ACTIVITY)),
        get( A::UserActivity, "/user/daily/activity/export", "get_user_daily_activity_export", activity::user_export).query(activity::USER_EXPORT_QUERY).json_or(activity::EXPORTED, "text/csv"),
        get( A::TeamActivity, "/team/daily/activity", "get_team_daily_activity", activity::team).query(activity::TEAM_QUERY).json(one(&activity::ACTIVITY)),
        get( A::TeamActivity, "/team/daily/activity/aggregated", "get_team_daily_activity_aggregated", activity::team_aggregated).query(activity::TEAM_AGGREGATED_QUERY).json(one(&activity::ACTIVITY)),
        get( A::TeamActivity, "/team/daily/activity/export", "get_team_daily_activity_export", activity::team_export).query(activity::TEAM_EXPORT_QUERY).json_or(activity::EXPORTED, "text/csv"),
        get( A::OrganizationActivity, "/organization/daily/activity", "get_organization_daily_activity", activity::organization).query(activity::ORGANIZATION_QUERY).json(one(&activity::ACTIVITY)),
        get( A::OrganizationActivity, "/organization/daily/activity/aggregated", "get_organization_daily_activity_aggregated", activity::organization_aggregated).query(activity::ORGANIZATION_AGGREGATED_QUERY).json(one(&activity::ACTIVITY)),
        get( A::OrganizationActivity, "/organization/daily/activity/export", "get_organization_daily_activity_export", activity::organization_export).query(activity::ORGANIZATION_EXPORT_QUERY).json_or(activity::EXPORTED, "text/csv"),
        get( A::CustomerActivity, "/customer/daily/activity", "get_customer_daily_activity", activity::customer).query(activity::CUSTOMER_QUERY).json(one(&activity::ACTIVITY)),
        get( A::CustomerActivity, "/customer/daily/activity/aggregated", "get_customer_daily_activity_aggregated", activity::customer_aggregated).query(activity::CUSTOMER_AGGREGATED_QUERY).json(one(&activity::ACTIVITY)),
        get( A::CustomerActivity, "/customer/daily/activity/export", "get_customer_daily_activity_export", activity::customer_export).query(activity::CUSTOMER_EXPORT_QUERY).json_or(activity::EXPORTED, "text/csv"),
        get( A::CustomerActivity, "/end_user/daily/activity", "get_customer_daily_activity", activity::customer).query(activity::CUSTOMER_QUERY).json(one(&activity::ACTIVITY)),
        get( A::CustomerActivity, "/end_user/daily/activity/aggregated", "get_customer_daily_activity_aggregated", activity::customer_aggregated).query(activity::CUSTOMER_AGGREGATED_QUERY).json(one(&activity::ACTIVITY)),
        get( A::CustomerActivity, "/end_user/daily/activity/export", "get_customer_daily_activity_export", activity::customer_export).query(activity::CUSTOMER_EXPORT_QUERY).json_or(activity::EXPORTED, "text/csv"),
        get( A::TagActivity, "/tag/daily/activity", "get_tag_daily_activity", activity::tag).query(activity::TAG_QUERY).json(one(&activity::ACTIVITY)),
        get( A::TagActivity, "/tag/daily/activity/aggregated", "get_tag_daily_activity_aggregated", activity::tag_aggregated).query(activity::TAG_AGGREGATED_QUERY).json(one(&activity::ACTIVITY)),
        get( A::TagActivity, "/tag/daily/activity/export", "get_tag_daily_activity_export", activity::tag_export).query(activity::TAG_EXPORT_QUERY).json_or(activity::EXPORTED, "text/csv"),
    ]
}
