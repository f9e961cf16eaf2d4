//! The queries of the activity routes.

use crate::request::Param;
use crate::store::spend::Dimension;

macro_rules! queries {
    ($($dimension:ident, $size:literal, [$($entity:literal),+]: $page:ident, $aggregated:ident, $export:ident;)*) => {
        $(
            /// The query of a page.
            pub const $page: &[Param] = &[
                $(Param::text($entity),)+
                Param::text("start_date"),
                Param::text("end_date"),
                Param::text("model"),
                Param::text("api_key"),
                Param::whole("page", 1, 1, u32::MAX),
                Param::whole("page_size", $size, 1, 1_000),
                Param::text("timezone"),
                Param::flag("include_current_utc_day"),
            ];
            /// The query of all of it.
            pub const $aggregated: &[Param] = &[
                $(Param::text($entity),)+
                Param::text("start_date"),
                Param::text("end_date"),
                Param::text("model"),
                Param::text("api_key"),
                Param::whole("api_key_limit", 100, 1, 1_000),
                Param::text("timezone"),
                Param::flag("include_current_utc_day"),
            ];
            /// The query of a file.
            pub const $export: &[Param] = &[
                $(Param::text($entity),)+
                Param::text("start_date"),
                Param::text("end_date"),
                Param::text("model"),
                Param::text("api_key"),
                Param::text("format"),
                Param::text("timezone"),
            ];
        )*

        pub(super) const fn page_query(dimension: Dimension) -> &'static [Param] {
            match dimension {
                $(Dimension::$dimension => $page,)*
            }
        }

        pub(super) const fn aggregated_query(dimension: Dimension) -> &'static [Param] {
            match dimension {
                $(Dimension::$dimension => $aggregated,)*
            }
        }

        pub(super) const fn export_query(dimension: Dimension) -> &'static [Param] {
            match dimension {
                $(Dimension::$dimension => $export,)*
            }
        }
    };
}

// Days are those of UTC: `timezone` and `include_current_utc_day` are taken and change nothing.
queries! {
    User, 50, ["user_id"]: USER_QUERY, USER_AGGREGATED_QUERY, USER_EXPORT_QUERY;
    Team, 10, ["team_ids", "exclude_team_ids"]: TEAM_QUERY, TEAM_AGGREGATED_QUERY, TEAM_EXPORT_QUERY;
    Organization, 10, ["organization_ids", "exclude_organization_ids"]:
        ORGANIZATION_QUERY, ORGANIZATION_AGGREGATED_QUERY, ORGANIZATION_EXPORT_QUERY;
    EndUser, 10, ["end_user_ids", "exclude_end_user_ids"]:
        CUSTOMER_QUERY, CUSTOMER_AGGREGATED_QUERY, CUSTOMER_EXPORT_QUERY;
    Tag, 10, ["tags"]: TAG_QUERY, TAG_AGGREGATED_QUERY, TAG_EXPORT_QUERY;
}
