//! Amounts of money: exact, or refused.

use contract::money::{MoneyError, NanoUsd};
use proptest::prelude::*;

fn parse(text: &str) -> Result<u64, MoneyError> {
    NanoUsd::parse(text).map(NanoUsd::get)
}

#[test]
fn decimal_dollars_read_as_nano_dollars() {
    for (text, nano) in [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("10", 10_000_000_000),
        ("0.5", 500_000_000),
        ("1e-9", 1),
        ("2.5E+3", 2_500_000_000_000),
        ("0000000000000000000000000001", 1_000_000_000),
        ("0e99999999999999999999", 0),
        ("1e-99999999999999999999", 0),
        ("0.0000000005", 1),
        ("0.00000000049999", 0),
        ("9000000", 9_000_000_000_000_000),
        ("8999999.9999999999", 9_000_000_000_000_000),
        (".5", 500_000_000),
        ("5.", 5_000_000_000),
    ] {
        assert_eq!(parse(text), Ok(nano), "{text}");
    }
}

#[test]
fn everything_else_is_refused_with_its_reason() {
    for text in [
        "", "-", ".", "e5", "1e", "1e+", "1e5.5", "+1", " 1", "1 ", "1_000", "0x10", "NaN", "inf",
        "1.2.3", "--1", "1e--5", "١",
    ] {
        assert_eq!(parse(text), Err(MoneyError::NotANumber), "{text:?}");
    }
    for text in ["-1", "-0.000000001", "-1e-9"] {
        assert_eq!(parse(text), Err(MoneyError::Negative), "{text}");
    }
    for text in [
        "9000000.000000001",
        "1e7",
        "1e400",
        "1e99999999999999999999",
        "99999999999999999999999999",
        "9000000.0000000005",
    ] {
        assert_eq!(parse(text), Err(MoneyError::TooLarge), "{text}");
    }
}

#[test]
fn noise_of_a_double_reads_as_the_amount_that_was_meant() {
    assert_eq!(parse(&(0.1 + 0.2_f64).to_string()), Ok(300_000_000));
    assert_eq!(parse(&(1.1 * 3.0_f64).to_string()), Ok(3_300_000_000));
}

#[test]
fn an_amount_prints_with_one_to_nine_decimals() {
    let print = |nano| NanoUsd::new(nano).unwrap().to_string();
    let amounts = [
        0,
        1,
        500_000_000,
        10_000_000_000,
        1_230_000_000,
        9_000_000_000_000_000,
    ];
    assert_eq!(
        amounts.map(print),
        ["0.0", "0.000000001", "0.5", "10.0", "1.23", "9000000.0"]
    );
}

#[test]
fn json_carries_nano_dollars_and_no_more_than_the_most() {
    let amount = |json: &str| serde_json::from_str::<NanoUsd>(json).map(NanoUsd::get).ok();
    assert_eq!(amount("9000000000000000"), Some(NanoUsd::MAX.get()));
    assert_eq!(
        ["9000000000000001", "-1", "1.5"].map(amount),
        [None, None, None]
    );
    assert_eq!(
        serde_json::to_string(&NanoUsd::MAX).unwrap(),
        "9000000000000000"
    );
}

proptest! {
    #[test]
    fn what_is_printed_reads_as_the_same(nano in 0..=NanoUsd::MAX.get()) {
        let amount = NanoUsd::new(nano).unwrap();
        prop_assert_eq!(NanoUsd::parse(&amount.to_string()), Ok(amount));
    }

    #[test]
    fn a_double_of_up_to_a_hundred_thousand_dollars_keeps_every_nano_dollar(
        nano in 0_u64..100_000_000_000_000,
        ulps in -2_i64..=2,
    ) {
        let exact: f64 = format!("{nano}e-9").parse().unwrap();
        let noisy = f64::from_bits(exact.to_bits().saturating_add_signed(ulps));
        prop_assume!(noisy >= 0.0 && noisy.is_finite());
        prop_assert_eq!(parse(&noisy.to_string()), Ok(nano));
        prop_assert_eq!(parse(&format!("{noisy:e}")), Ok(nano));
    }

    #[test]
    fn an_exponent_moves_the_point_and_the_rest_rounds_half_up(digits in 0_u64..1_000_000_000_000, exponent in -30_i32..8) {
        let scaled = match exponent + 9 {
            up @ 0.. => u128::from(digits) * 10_u128.pow(up.unsigned_abs()),
            down => {
                let unit = 10_u128.pow(down.unsigned_abs());
                (u128::from(digits) + unit / 2) / unit
            }
        };
        let expected = u64::try_from(scaled).ok().and_then(NanoUsd::new).ok_or(MoneyError::TooLarge);
        prop_assert_eq!(NanoUsd::parse(&format!("{digits}e{exponent}")), expected);
    }

    #[test]
    fn no_text_breaks_the_parser(text in "[-+.eE0-9]{0,40}|.*") {
        if let Ok(amount) = NanoUsd::parse(&text) {
            prop_assert!(amount <= NanoUsd::MAX);
        }
    }

    #[test]
    fn a_sum_is_exact_or_refused(a in 0..=NanoUsd::MAX.get(), b in 0..=NanoUsd::MAX.get()) {
        let (left, right) = (NanoUsd::new(a).unwrap(), NanoUsd::new(b).unwrap());
        prop_assert_eq!(left.checked_add(right), NanoUsd::new(a + b));
        prop_assert_eq!(left.saturating_sub(right).get(), a.saturating_sub(b));
    }

    #[test]
    fn picodollars_round_up_once(pico in 0_u128..10_000_000_000_000_000_000) {
        match NanoUsd::from_pico_ceil(pico) {
            Some(amount) => {
                let nano = u128::from(amount.get());
                prop_assert!(nano * 1000 >= pico && nano * 1000 < pico + 1000);
            }
            None => prop_assert!(pico > u128::from(NanoUsd::MAX.get()) * 1000),
        }
    }
}
