//! A signing date: `20150830T123600Z`, its day and its moment.

use jiff::Timestamp;
use jiff::tz::Offset;

/// Characters of the day at the head of a stamp.
const DAY_CHARS: usize = 8;

/// A moment in whole seconds, UTC, with the one text that it has in a string to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    text: String,
    seconds: i64,
}

impl Stamp {
    fn of(at: Timestamp) -> Self {
        let seconds = at.as_second();
        let at = Offset::UTC.to_datetime(at);
        let text = format!(
            "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
            at.year(),
            at.month(),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        );
        Self { text, seconds }
    }

    /// From milliseconds since the Unix epoch; a moment outside the calendar becomes its nearer end.
    pub(crate) fn from_ms(at_ms: i64) -> Self {
        let end = if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Self::of(Timestamp::from_millisecond(at_ms).unwrap_or(end))
    }

    /// The ISO 8601 basic form alone.
    pub(crate) fn from_iso(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 16 || !text.is_ascii() {
            return None;
        }
        let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
        let small = |from: usize, to: usize| i8::try_from(number(from, to)?).ok();
        let at = jiff::civil::DateTime::new(
            number(0, 4)?,
            small(4, 6)?,
            small(6, 8)?,
            small(9, 11)?,
            small(11, 13)?,
            small(13, 15)?,
            0,
        )
        .ok()?;
        // Written again it must be the same text: that rules out signs and other separators.
        Some(Self::of(Offset::UTC.to_timestamp(at).ok()?)).filter(|stamp| stamp.text == text)
    }

    /// A `Date` header: the ISO basic form or that of HTTP (`Sun, 30 Aug 2015 12:36:00 GMT`).
    pub(crate) fn from_date(text: &str) -> Option<Self> {
        Self::from_iso(text).or_else(|| {
            let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
            Some(Self::of(at))
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// `YYYYMMDD`.
    pub(crate) fn day(&self) -> &str {
        self.text.get(..DAY_CHARS).unwrap_or_default()
    }

    /// Milliseconds since the Unix epoch.
    pub(crate) fn ms(&self) -> i64 {
        self.seconds.saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_name_the_same_moment() {
        let iso = Stamp::from_iso("20150830T123600Z").unwrap();
        assert_eq!(Stamp::from_date("Sun, 30 Aug 2015 12:36:00 GMT"), Some(iso.clone()));
        assert_eq!(Stamp::from_ms(1_440_938_160_999), iso);
        assert_eq!(iso.ms(), 1_440_938_160_000);
        assert_eq!(iso.day(), "20150830");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "20150830",
            "20150830T123600",
            "20150830T123600z",
            "20150830 123600Z",
            "20150230T123600Z",
            "20150830T246000Z",
            "+0150830T123600Z",
            "2015-08-30T12:36:00Z",
            "20150830T123600+00",
            "201508é0T12360Z",
        ] {
            assert_eq!(Stamp::from_iso(text), None, "{text}");
        }
        assert_eq!(Stamp::from_date("yesterday"), None);
    }

    proptest! {
        #[test]
        fn a_stamp_is_read_as_written(at_ms in 0_i64..253_402_200_000_000) {
            let stamp = Stamp::from_ms(at_ms);
            prop_assert_eq!(stamp.ms(), at_ms - at_ms % 1_000);
            prop_assert_eq!(Stamp::from_iso(stamp.as_str()), Some(stamp));
        }

        #[test]
        fn no_text_panics(text in ".*", at_ms: i64) {
            prop_assert!(Stamp::from_date(&text).is_none_or(|stamp| stamp.day().len() == 8));
            prop_assert!(!Stamp::from_ms(at_ms).as_str().is_empty());
        }
    }
}
