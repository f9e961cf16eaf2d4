//! The benchmark as a picture: bars for throughput and for latency, plain beside governed. SVG, readable on light and dark pages.

use std::fmt::Write as _;

use super::report::Report;
use super::{CASES, Case};

const WIDTH: f64 = 720.0;
const LEFT: f64 = 230.0;
const BAR: f64 = 18.0;
const PLAIN: &str = "#8a94a6";
const GOVERNED: &str = "#2f6fde";

/// One pair of bars.
struct Pair {
    label: String,
    unit: &'static str,
    plain: f64,
    governed: f64,
}

/// The chart.
pub fn svg(report: &Report) -> String {
    let case = |index: usize| -> (Case, _) { (CASES[index], report.pair(CASES[index])) };
    let (many, (plain, governed)) = case(0);
    let mut pairs = vec![Pair {
        label: format!("throughput, {}", many.name),
        unit: "req/s",
        plain: plain.rate,
        governed: governed.rate,
    }];
    let (one, (plain, governed)) = case(1);
    for (figure, plain, governed) in [
        ("p50", plain.p50_us, governed.p50_us),
        ("p99", plain.p99_us, governed.p99_us),
    ] {
        pairs.push(Pair {
            label: format!("{figure}, {}", one.name),
            unit: "µs",
            plain,
            governed,
        });
    }
    let (_, (plain, governed)) = case(2);
    pairs.push(Pair {
        label: "first byte of a stream, p50".to_owned(),
        unit: "µs",
        plain: plain.first_p50_us,
        governed: governed.first_p50_us,
    });
    draw(&pairs)
}

fn draw(pairs: &[Pair]) -> String {
    let mut body = String::new();
    let mut y = 48.0;
    for pair in pairs {
        // Units differ from pair to pair, so each has its own scale.
        let scale = (WIDTH - LEFT - 110.0) / pair.plain.max(pair.governed).max(1.0);
        // Writing to a String cannot fail.
        let _ = writeln!(
            body,
            r#"<text x="{}" y="{}" text-anchor="end">{}</text>"#,
            LEFT - 12.0,
            y + BAR + 5.0,
            pair.label
        );
        for (value, colour, offset) in [
            (pair.plain, PLAIN, 0.0),
            (pair.governed, GOVERNED, BAR + 2.0),
        ] {
            let (length, top) = (value * scale, y + offset);
            let _ = writeln!(
                body,
                r#"<rect x="{LEFT}" y="{top}" width="{length:.1}" height="{BAR}" rx="2" fill="{colour}"/>"#
            );
            let _ = writeln!(
                body,
                r#"<text x="{:.1}" y="{}">{value:.0} {}</text>"#,
                LEFT + length + 6.0,
                top + 13.5,
                pair.unit
            );
        }
        y += 2.0 * BAR + 18.0;
    }
    let legend = format!(
        r#"<rect x="{LEFT}" y="14" width="12" height="12" fill="{PLAIN}"/><text x="{}" y="24.5">plain Envoy</text><rect x="{}" y="14" width="12" height="12" fill="{GOVERNED}"/><text x="{}" y="24.5">with Tollkeeper, strict</text>"#,
        LEFT + 18.0,
        LEFT + 120.0,
        LEFT + 138.0
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" font-family=\"system-ui, sans-serif\" font-size=\"13\" fill=\"#7a8494\" role=\"img\" aria-label=\"Plain Envoy against Tollkeeper\">\n{legend}\n{body}</svg>\n"
    )
}
