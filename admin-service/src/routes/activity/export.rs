//! Activity as a file, written down as it is read: an export of a year needs no more memory than one of a day.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use serde_json::{Value, json};

use super::queries::export_query;
use super::{METRICS, Metrics, which};
use crate::app::App;
use crate::error::{ApiError, SpendRefusal};
use crate::openapi::schema::{Of, Record, TEXT, list, one};
use crate::policy::Authorized;
use crate::request::Query;
use crate::routes::shape::nano_dollars;
use crate::store::reports::{self, After, DailyRow, Which, entity_names, key_names};
use crate::store::spend::Dimension;
use crate::store::{Store, StoreError};

/// The answer in JSON.
pub static EXPORTED: Of = list(&one(&Record::new(
    "DailyActivityRow",
    &[
        (
            "date alias api_key key_alias model model_group custom_llm_provider endpoint",
            TEXT,
        ),
        (
            "user_id team_id organization_id end_user_id tag",
            TEXT.or_absent(),
        ),
        ("metrics", one(&METRICS)),
    ],
)));

/// Rows read at once.
const PART: u32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
}

/// All rows that the caller sees: `format=csv` (the default) or `json`.
pub(super) async fn export<R>(
    app: &App,
    by: &Authorized<R>,
    dimension: Dimension,
    query: Option<&str>,
) -> Result<Response, ApiError> {
    let query = Query::parse(query, export_query(dimension));
    let format = match query.text("format").as_deref() {
        None | Some("csv") => Format::Csv,
        Some("json") => Format::Json,
        Some(_) => return Err(SpendRefusal::BadExportFormat.into()),
    };
    let which = which(app, by, dimension, &query).await?;
    query.finish()?;
    let name = match dimension {
        Dimension::User => "user",
        Dimension::Team => "team",
        Dimension::Organization => "organization",
        Dimension::EndUser => "customer",
        Dimension::Tag => "tag",
    };
    let (first, last) = (&which.days.first, &which.days.last);
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Json => ("application/json", "json"),
    };
    let file = format!("attachment; filename=\"{name}_daily_activity_{first}_{last}.{ending}\"");
    let body = Body::from_stream(parts(app.store.clone(), which, format));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(file) = HeaderValue::from_str(&file) {
        headers.insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

/// Where a file stands.
enum At {
    Start,
    After(Box<After>),
    End,
}

/// The file part by part. A failure on the way breaks the connection off, so that nobody takes a piece for the whole.
fn parts(
    store: Store,
    which: Which,
    format: Format,
) -> impl Stream<Item = Result<String, StoreError>> {
    stream::unfold(
        (store, which, At::Start),
        move |(store, which, at)| async move {
            let (after, mut text) = match at {
                At::End => return None,
                At::Start => (None, format.head(which.dimension)),
                At::After(after) => (Some(after), String::new()),
            };
            let part = match read(&store, &which, after.as_deref()).await {
                Ok(part) => part,
                Err(error) => {
                    tracing::warn!(%error, "an export was broken off");
                    return Some((Err(error), (store, which, At::End)));
                }
            };
            for (number, row) in part.iter().enumerate() {
                let first = after.is_none() && number == 0;
                text.push_str(&format.line(row, which.dimension, first));
            }
            let full = part.len() == usize::try_from(PART).unwrap_or(usize::MAX);
            let next = match part.into_iter().next_back() {
                Some(last) if full => At::After(Box::new(last.row.key)),
                _ => {
                    text.push_str(format.tail());
                    At::End
                }
            };
            Some((Ok(text), (store, which, next)))
        },
    )
}

/// A row with what its key and entity are called.
struct Named {
    row: DailyRow,
    key_alias: String,
    entity_alias: String,
}

async fn read(
    store: &Store,
    which: &Which,
    after: Option<&After>,
) -> Result<Vec<Named>, StoreError> {
    let mut connection = store.read().await?;
    let rows = reports::after(&mut connection, which, after, PART).await?;
    let unique = |of: fn(&DailyRow) -> &String| {
        let all = rows
            .iter()
            .map(of)
            .collect::<std::collections::BTreeSet<_>>();
        all.into_iter().cloned().collect::<Vec<_>>()
    };
    let keys = key_names(&mut connection, &unique(|row| &row.key.api_key)).await?;
    let entities = unique(|row| &row.key.entity);
    let entities = entity_names(&mut connection, which.dimension, &entities).await?;
    let named = rows.into_iter().map(|row| {
        let key = keys.get(&row.key.api_key).and_then(|key| key.alias.clone());
        let entity = entities.get(&row.key.entity).cloned();
        Named {
            key_alias: key.unwrap_or_default(),
            entity_alias: entity.unwrap_or_default(),
            row,
        }
    });
    Ok(named.collect())
}

impl Format {
    fn head(self, dimension: Dimension) -> String {
        match self {
            Self::Json => "[".to_owned(),
            Self::Csv => format!(
                "date,{},alias,api_key,key_alias,model,model_group,custom_llm_provider,endpoint,spend,prompt_tokens,\
                 completion_tokens,total_tokens,cache_read_input_tokens,cache_creation_input_tokens,api_requests,\
                 successful_requests,failed_requests\r\n",
                dimension.column()
            ),
        }
    }

    const fn tail(self) -> &'static str {
        match self {
            Self::Json => "]",
            Self::Csv => "",
        }
    }

    fn line(self, named: &Named, dimension: Dimension, first: bool) -> String {
        match self {
            Self::Csv => csv(named),
            Self::Json => {
                let key = &named.row.key;
                let shown = json!({
                    "date": key.date, dimension.column(): key.entity, "alias": named.entity_alias,
                    "api_key": key.api_key, "key_alias": named.key_alias, "model": key.model,
                    "model_group": key.model_group, "custom_llm_provider": key.provider,
                    "endpoint": key.endpoint, "metrics": Metrics(&named.row.sums),
                });
                format!("{}{shown}", if first { "" } else { "," })
            }
        }
    }
}

fn csv(named: &Named) -> String {
    let (key, sums) = (&named.row.key, &named.row.sums);
    let texts = [
        &key.date,
        &key.entity,
        &named.entity_alias,
        &key.api_key,
        &named.key_alias,
        &key.model,
        &key.model_group,
        &key.provider,
        &key.endpoint,
    ];
    let numbers: [Value; 9] = [
        nano_dollars(sums.spend),
        json!(sums.prompt_tokens),
        json!(sums.completion_tokens),
        json!(sums.prompt_tokens + sums.completion_tokens),
        json!(sums.cache_read),
        json!(sums.cache_creation),
        json!(sums.api_requests),
        json!(sums.successful_requests),
        json!(sums.failed_requests),
    ];
    let texts = texts.map(|text| field(text));
    let cells = texts
        .into_iter()
        .chain(numbers.map(|number| number.to_string()));
    let mut line = cells.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

/// A text as a cell. Names come from clients: what a spreadsheet would take for a formula gets an apostrophe, which spreadsheets hide.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '|', '%']);
    let guarded = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if guarded.contains([',', '"', '\n', '\r', ';', '\'', '\t']) {
        format!("\"{}\"", guarded.replace('"', "\"\""))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn no_cell_is_a_formula_and_every_text_stays_in_its_cell() {
        assert_eq!(field("gpt-4o"), "gpt-4o");
        assert_eq!(field("=cmd|' /C calc'!A0"), "\"'=cmd|' /C calc'!A0\"");
        assert_eq!(field("+1"), "\"'+1\"");
        assert_eq!(field("@SUM(A1)"), "\"'@SUM(A1)\"");
        assert_eq!(field("-2+3"), "\"'-2+3\"");
        assert_eq!(field("\t=1"), "\"'\t=1\"");
        assert_eq!(field("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }
}
