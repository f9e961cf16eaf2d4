//! Random sequences of calls and moves of time, each step compared between the model and the scripts on a real Redis.
//!
//! `TOLLKEEPER_SEED=<n>` and `TOLLKEEPER_STEPS=<n>` run another sequence than the usual ones; a failure prints the seed it needs.

mod driver;
mod rng;
mod world;

use std::thread;

use crate::lua_ledger::LuaLedger;
pub use driver::{Coverage, Driver};

/// Runs one sequence; an error names seed, step and difference.
pub fn run(ledger: LuaLedger, seed: u64, steps: u32) -> Result<Coverage, String> {
    let mut driver = Driver::new(ledger, seed);
    for step in 0..steps {
        driver.step().map_err(|difference| {
            format!(
                "TOLLKEEPER_SEED={seed} TOLLKEEPER_STEPS={} differs: {difference}",
                step + 1
            )
        })?;
    }
    Ok(driver.coverage)
}

#[test]
fn a_hundred_thousand_random_steps_agree_with_the_model() {
    let variable = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let steps =
        variable("TOLLKEEPER_STEPS").map_or(26_000, |steps: u64| u32::try_from(steps).unwrap());
    let seeds = variable("TOLLKEEPER_SEED").map_or(vec![1, 2, 3, 4], |seed| vec![seed]);
    let sequences: Vec<_> = seeds
        .iter()
        .map(|seed| {
            (
                *seed,
                thread::spawn({
                    let seed = *seed;
                    move || run(LuaLedger::start(), seed, steps)
                }),
            )
        })
        .collect();
    let mut total = Coverage::default();
    for (_, sequence) in sequences {
        match sequence.join().expect("a sequence") {
            Ok(coverage) => total.add(&coverage),
            Err(difference) => panic!("{difference}"),
        }
    }
    println!("{total:?}");
    if seeds.len() > 1 {
        total.assert_everything_happened();
    }
}
