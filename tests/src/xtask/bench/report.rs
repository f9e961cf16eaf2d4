//! What a benchmark found: the median of each figure, and what the governed side adds to the plain one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::growth::Growth;
use super::{CASES, Case};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Envoy without the filter.
    Plain,
    /// Envoy with the filter, strict mode.
    Governed,
}

impl Side {
    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Governed => "governed",
        }
    }
}

/// One measurement, or the medians of several.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Requests a second.
    pub rate: f64,
    /// Half of the answers were whole by then, microseconds.
    pub p50_us: f64,
    /// 99 of 100 were.
    pub p99_us: f64,
    /// Half of the answers had begun by then.
    pub first_p50_us: f64,
    /// Envoy's processor time a request, microseconds.
    pub cpu_us: f64,
    /// Calls to Redis a request.
    pub redis_commands: f64,
}

/// All measurements.
#[derive(Debug)]
pub struct Report {
    rounds: u16,
    seconds: u64,
    body: usize,
    figures: BTreeMap<(&'static str, Side), Vec<Figures>>,
    /// What must not grow, once measured.
    pub growth: Option<Growth>,
}

impl Report {
    /// An empty one.
    pub fn new(rounds: u16, seconds: u64, body: usize) -> Self {
        Self {
            rounds,
            seconds,
            body,
            figures: BTreeMap::new(),
            growth: None,
        }
    }

    /// Adds a measurement.
    pub fn add(&mut self, case: Case, side: Side, figures: Figures) {
        self.figures
            .entry((case.name, side))
            .or_default()
            .push(figures);
    }

    /// The medians of a case.
    pub fn median(&self, case: Case, side: Side) -> Figures {
        let all = self
            .figures
            .get(&(case.name, side))
            .map(Vec::as_slice)
            .unwrap_or_default();
        let of = |figure: fn(&Figures) -> f64| {
            let mut values: Vec<f64> = all.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or(0.0)
        };
        Figures {
            rate: of(|figures| figures.rate),
            p50_us: of(|figures| figures.p50_us),
            p99_us: of(|figures| figures.p99_us),
            first_p50_us: of(|figures| figures.first_p50_us),
            cpu_us: of(|figures| figures.cpu_us),
            redis_commands: of(|figures| figures.redis_commands),
        }
    }

    /// Plain and governed of a case.
    pub fn pair(&self, case: Case) -> (Figures, Figures) {
        (
            self.median(case, Side::Plain),
            self.median(case, Side::Governed),
        )
    }

    /// For other programs.
    pub fn json(&self) -> Value {
        let side = |figures: Figures| {
            json!({
                "requests_per_second": tenth(figures.rate), "p50_us": tenth(figures.p50_us), "p99_us": tenth(figures.p99_us),
                "first_byte_p50_us": tenth(figures.first_p50_us), "envoy_cpu_us": tenth(figures.cpu_us),
                "redis_calls": (figures.redis_commands * 1000.0).round() / 1000.0,
            })
        };
        let cases: Vec<Value> = CASES
            .iter()
            .map(|case| {
                let (plain, governed) = self.pair(*case);
                json!({
                    "case": case.name, "connections": case.connections, "stream": case.stream,
                    "plain": side(plain), "governed": side(governed),
                    "throughput_ratio": (governed.rate / plain.rate * 1000.0).round() / 1000.0,
                    "added_p50_us": tenth(governed.p50_us - plain.p50_us), "added_p99_us": tenth(governed.p99_us - plain.p99_us),
                    "added_first_byte_p50_us": tenth(governed.first_p50_us - plain.first_p50_us),
                    "added_envoy_cpu_us": tenth(governed.cpu_us - plain.cpu_us),
                })
            })
            .collect();
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        json!({
            "mode": "strict", "workers": 1, "rounds": self.rounds, "seconds": self.seconds, "body_bytes": self.body,
            "processors": processors, "cases": cases, "growth": self.growth.as_ref().map(Growth::json),
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::from(
            "\nStrict mode, one worker, medians; governed against the same Envoy without the filter\n",
        );
        for case in CASES {
            let (plain, governed) = self.pair(case);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "\n{}\n  {:<26}{:>10}{:>10}\n  {:<26}{:>10.0}{:>10.0}   ratio {:.2}\n  {:<26}{:>10.0}{:>10.0}   {:+.0}\n  {:<26}{:>10.0}{:>10.0}   {:+.0}\n  {:<26}{:>10.0}{:>10.0}   {:+.0}\n  {:<26}{:>10.1}{:>10.1}   {:+.1}\n  {:<26}{:>10.2}{:>10.2}",
                case.name,
                "",
                "plain",
                "governed",
                "requests a second",
                plain.rate,
                governed.rate,
                governed.rate / plain.rate,
                "p50, µs",
                plain.p50_us,
                governed.p50_us,
                governed.p50_us - plain.p50_us,
                "p99, µs",
                plain.p99_us,
                governed.p99_us,
                governed.p99_us - plain.p99_us,
                "first byte p50, µs",
                plain.first_p50_us,
                governed.first_p50_us,
                governed.first_p50_us - plain.first_p50_us,
                "Envoy CPU a request, µs",
                plain.cpu_us,
                governed.cpu_us,
                governed.cpu_us - plain.cpu_us,
                "Redis calls a request",
                plain.redis_commands,
                governed.redis_commands,
            );
        }
        if let Some(growth) = &self.growth {
            text.push_str(&growth.text());
        }
        text
    }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
