//! Decimal digits of whole numbers, printed straight into a buffer: a request prints dozens, and the formatting machinery costs more than
//! the digits do.

/// The digits of a `u64`, at most twenty.
pub(crate) struct Digits {
    digits: [u8; 20],
    from: usize,
}

impl Digits {
    /// At least `width` digits (1 to 20), with zeros in front.
    pub(crate) fn new(number: u64, width: usize) -> Self {
        let mut digits = [b'0'; 20];
        let mut from = digits.len();
        let mut rest = number;
        for (at, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or(0));
            from = at;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Self {
            digits,
            from: from.min(digits.len().saturating_sub(width)),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.from..).unwrap_or_default()
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// The digits of a length or count.
pub(crate) fn of_length(length: usize) -> Digits {
    Digits::new(u64::try_from(length).unwrap_or(u64::MAX), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number_with_zeros_up_to_the_width() {
        for number in [0, 1, 9, 10, 12_345, 1 << 53, u64::MAX] {
            assert_eq!(Digits::new(number, 1).as_str(), number.to_string());
            assert_eq!(Digits::new(number, 16).as_str(), format!("{number:016}"));
        }
        assert_eq!(of_length(64).as_bytes(), b"64");
    }
}
