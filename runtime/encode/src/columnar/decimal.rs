//! Decimals from their text, exactly: whatever stands there is the value of the column, or is refused.
//! (Arrow's own reader counts digits in a byte and powers of ten in 128 bits without a look at either.)

/// Exponents beyond this are all the same: no text has as many digits.
const EXPONENT_MAX: i64 = 1 << 32;

/// The number in units of 10^-`scale`, rounded half away from zero as Hive does; `None` when the text is
/// no number, or has more digits than `precision` (at most 38) allows.
pub(super) fn parse(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, text) = signed(text.as_bytes());
    let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', text) {
        Some(at) => (&text[..at], exponent(&text[at + 1..])?),
        None => (text, 0),
    };
    let (whole, fraction) = match memchr::memchr(b'.', mantissa) {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let digits = whole.iter().chain(fraction);
    if whole.is_empty() && fraction.is_empty() || !digits.clone().all(u8::is_ascii_digit) {
        return None;
    }
    let mut significant = digits.skip_while(|digit| **digit == b'0').map(|digit| i128::from(digit - b'0'));
    let count = significant.clone().count() as i64;
    // The number is 0.DIGITS × 10^places units.
    let places = count + exponent - fraction.len() as i64 + i64::from(scale);
    if count == 0 || places < 0 {
        return Some(0);
    }
    if places > i64::from(precision) {
        return None;
    }
    let mut value = 0;
    for _ in 0..places {
        value = value * 10 + significant.next().unwrap_or(0);
    }
    value += i128::from(significant.next().is_some_and(|digit| digit >= 5));
    let fits = value < 10i128.pow(u32::from(precision));
    fits.then_some(if negative { -value } else { value })
}

fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = signed(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_exact_or_refused() {
        for (text, precision, scale, expected) in [
            ("123.456", 6, 3, Some(123_456)),
            ("12345.6", 6, 3, None),
            ("-0012.50", 4, 2, Some(-1_250)),
            ("1.005", 10, 2, Some(101)),
            ("-1.005", 10, 2, Some(-101)),
            ("1.0049999", 10, 2, Some(100)),
            ("0.005", 10, 2, Some(1)),
            ("0.00499", 10, 2, Some(0)),
            ("99.995", 4, 2, None),
            ("9.995", 4, 2, Some(1_000)),
            (".5", 2, 1, Some(5)),
            ("5.", 2, 1, Some(50)),
            ("+1.5E+1", 3, 1, Some(150)),
            ("0e999999999999999999999", 3, 1, Some(0)),
            ("1e-999999999999999999999", 3, 1, Some(0)),
            ("1e999999999999999999999", 38, 0, None),
            ("99999999999e-40", 38, 10, Some(0)),
            ("12345678901234567890123456789012345678", 38, 0, Some(12_345_678_901_234_567_890_123_456_789_012_345_678)),
            ("123456789012345678901234567890123456789", 38, 0, None),
            ("", 5, 2, None),
            (".", 5, 2, None),
            ("-", 5, 2, None),
            ("1e", 5, 2, None),
            ("1.2.3", 5, 2, None),
            ("1 ", 5, 2, None),
            ("NaN", 5, 2, None),
        ] {
            assert_eq!(parse(text, precision, scale), expected, "{text}");
        }
    }

    /// Found by the fuzz target `scalar`: the count of digits in a byte panicked, or wrapped around.
    #[test]
    fn texts_of_any_length_are_read() {
        let long = "8".repeat(1_000);
        assert_eq!(parse(&long, 38, 0), None);
        assert_eq!(parse(&format!("{long}e-990"), 38, 0), Some(8_888_888_889));
        assert_eq!(parse(&format!("0.{long}"), 38, 3), Some(889));
        assert_eq!(parse(&format!("{}1", "0".repeat(70_000)), 38, 0), Some(1));
        assert_eq!(parse(&format!("0.{}1e70001", "0".repeat(70_000)), 38, 0), Some(1));
    }

    proptest! {
        #[test]
        fn agrees_with_whole_numbers(digits in 0i64..1_000_000_000_000, exponent in -20i32..12, scale in 0i8..9) {
            let shift = exponent + i32::from(scale);
            let power = 10i128.pow(shift.unsigned_abs());
            let digits = i128::from(digits);
            let expected = if shift < 0 { (digits + power / 2) / power } else { digits * power };
            prop_assert_eq!(parse(&format!("{digits}e{exponent}"), 38, scale), Some(expected));
            prop_assert_eq!(parse(&format!("-{digits}e{exponent}"), 38, scale), Some(-expected));
        }
    }
}
