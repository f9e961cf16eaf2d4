//! What is generated is what is committed, and no two things share a name.

use super::*;
use crate::router::rows;

/// Compares a file of this crate with what the code makes of it; with `TOLLKEEPER_REGENERATE` set it writes the file.
fn compare(path: &str, made: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("TOLLKEEPER_REGENERATE").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == made,
        "{} is not what the code makes; TOLLKEEPER_REGENERATE=1 cargo test -p tollkeeper-admin --lib generated",
        path.display()
    );
}

/// Prints what fits on a line on one.
fn print(value: &Value, depth: usize, text: &mut String) {
    let whole = value.to_string();
    let (open, close, items): (char, char, Vec<(String, &Value)>) = match value {
        Value::Object(map) if whole.len() > 120 => {
            let items = map.iter().map(|(name, item)| (format!("{name:?}: "), item));
            ('{', '}', items.collect())
        }
        Value::Array(all) if whole.len() > 120 => {
            let items = all.iter().map(|item| (String::new(), item));
            ('[', ']', items.collect())
        }
        _ => return text.push_str(&whole),
    };
    text.push(open);
    for (at, (name, item)) in items.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(depth + 1));
        text.push_str(name);
        print(item, depth + 1, text);
    }
    text.push('\n');
    text.push_str(&" ".repeat(depth));
    text.push(close);
}

fn line(cells: &[&str]) -> String {
    let widths = [52, 9, 9, 9, 12, 9, 11, 12, 0];
    let cells = cells
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:<width$}"));
    format!("{}\n", cells.collect::<String>().trim_end())
}

#[test]
fn the_generated_document_is_the_committed_one() {
    let mut text = String::new();
    print(&document(&rows()), 0, &mut text);
    compare("openapi.json", &format!("{text}\n"));
}

#[test]
fn the_generated_policy_is_the_committed_one() {
    let heads = [
        "route",
        "admin",
        "viewer",
        "user",
        "user_viewer",
        "no_role",
        "team_admin",
        "team_member",
        "organization_admin",
    ];
    let mut text = line(&heads);
    for row in rows() {
        let route = format!("{} {}", row.method, row.path);
        let Access::By(action) = row.access else {
            text += &line(&[&route, "everybody"]);
            continue;
        };
        let rule = action.rule();
        let mut cells = vec![route.as_str()];
        cells.extend(rule.verdicts.map(Verdict::as_str));
        cells.extend(rule.relations.map(Relation::as_str));
        text += &line(&cells);
    }
    compare("src/policy/golden.txt", &text);
}

#[test]
fn no_two_operations_or_records_share_a_name() {
    let rows = rows();
    let mut names: Vec<String> = rows.iter().map(operation_id).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    let mut records: BTreeMap<&str, &Record> = BTreeMap::new();
    for row in &rows {
        if let Reply::Json(of) | Reply::JsonOr(of, _) = &row.reply {
            of.records(|record| {
                let other = records.insert(record.name, record);
                let same = other.is_none_or(|other| std::ptr::eq(other, record));
                assert!(
                    same || record.name.is_empty(),
                    "two records are {}",
                    record.name
                );
            });
        }
    }
}

#[test]
fn only_a_proxy_admin_may_write_anything_that_is_not_theirs() {
    for row in rows() {
        if let Access::By(action) = row.access {
            let rule = action.rule();
            let any = Verdict::May(crate::policy::Reach::Any);
            let others = rule.verdicts[1..].iter().all(|verdict| *verdict != any);
            assert!(!rule.writes || others, "{action:?}");
        }
    }
}
