//! Texts and numbers that mean a time, as `OpenXJsonSerDe` and `HiveJsonSerDe` read them; answers
//! microseconds since the Unix epoch, UTC.

use jiff::civil::Date;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Numbers below this are seconds, others milliseconds.
const SECONDS_BELOW: u64 = 1_000_000_000_000;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A text as OpenX reads it: strict ISO with `T`, lenient `yyyy-M-d H:m:s[.f]`, or a number.
pub(super) fn open_x(text: &str) -> Option<i64> {
    if text.as_bytes().get(10) == Some(&b'T') {
        return iso(text);
    }
    sql(text).or_else(|| seconds_or_millis(text))
}

/// A text by the first of `formats` that fits, or without any as `java.sql.Timestamp.valueOf` does.
pub(super) fn by_formats(text: &str, formats: &[Format]) -> Option<i64> {
    if formats.is_empty() { sql(text) } else { formats.iter().find_map(|format| format.read(text)) }
}

/// Below 10^12 seconds with their fraction, else milliseconds.
pub(super) fn seconds_or_millis(number: &str) -> Option<i64> {
    let exact = || {
        let (negative, digits) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value = whole.parse::<u64>().ok()?;
        let (unit_us, digits) = if value < SECONDS_BELOW { (MICROS_PER_SECOND, 6) } else { (1_000, 3) };
        let fraction_us = digits_of(fraction, digits)?;
        let micros = i64::try_from(value).ok()?.checked_mul(unit_us)?.checked_add(fraction_us)?;
        Some(if negative { -micros } else { micros })
    };
    let by_float = || {
        let value = number.parse::<f64>().ok().filter(|value| value.is_finite())?;
        let unit_us = if value.abs() < SECONDS_BELOW as f64 { 1e6 } else { 1e3 };
        let micros = (value * unit_us).round();
        (micros.abs() < i64::MAX as f64).then_some(micros as i64)
    };
    exact().or_else(by_float)
}

/// The first `count` digits of a fraction, padded with zeros, as a number.
fn digits_of(fraction: &str, count: usize) -> Option<i64> {
    let mut digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(count);
    digits.try_fold(0i64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Days since the Unix epoch of `yyyy-M-d`.
pub(super) fn day(text: &str) -> Option<i32> {
    let mut cursor = Cursor(text.as_bytes());
    let day = cursor.date(1)?;
    cursor.0.is_empty().then_some(())?;
    i32::try_from(day).ok()
}

/// `yyyy-MM-ddTHH:mm[:ss[.fffffffff]][Z|±HH[[:]MM]]`, two digits each.
fn iso(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.as_bytes());
    let day = cursor.date(2)?;
    cursor.literal(b'T')?;
    let (hour, minute) = (cursor.number(2, 2)?, cursor.literal(b':').and_then(|()| cursor.number(2, 2))?);
    let (mut second, mut micros) = (0, 0);
    if cursor.literal(b':').is_some() {
        second = cursor.number(2, 2)?;
        if cursor.literal(b'.').is_some() {
            micros = cursor.fraction(9)?;
        }
    }
    let offset_s = if cursor.0.is_empty() { 0 } else { cursor.offset()? };
    cursor.0.is_empty().then_some(())?;
    instant(day, hour, minute, second, micros, offset_s)
}

/// `yyyy-M-d H:m:s[.f]`.
fn sql(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.trim_ascii().as_bytes());
    let day = cursor.date(1)?;
    cursor.literal(b' ')?;
    let hour = cursor.number(1, 2)?;
    let minute = cursor.literal(b':').and_then(|()| cursor.number(1, 2))?;
    let second = cursor.literal(b':').and_then(|()| cursor.number(1, 2))?;
    let micros = if cursor.literal(b'.').is_some() { cursor.fraction(9)? } else { 0 };
    cursor.0.is_empty().then_some(())?;
    instant(day, hour, minute, second, micros, 0)
}

fn instant(day: i64, hour: i64, minute: i64, second: i64, micros: i64, offset_s: i64) -> Option<i64> {
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = day * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset_s;
    Some(seconds * MICROS_PER_SECOND + micros)
}

fn epoch_day(year: i64, month: i64, day: i64) -> Option<i64> {
    let date = Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()?;
    let since = date.duration_since(jiff::civil::date(1970, 1, 1));
    Some(since.as_secs() / SECONDS_PER_DAY)
}

/// What is left of a text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn literal(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn number(&mut self, digits_min: usize, digits_max: usize) -> Option<i64> {
        let digits = self.0.iter().take(digits_max).take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        (digits >= digits_min).then(|| number.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }

    /// Microseconds of 1 to `digits_max` digits; the next character is no digit.
    fn fraction(&mut self, digits_max: usize) -> Option<i64> {
        let digits = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (fraction, rest) = self.0.split_at(digits);
        self.0 = rest;
        let fraction = std::str::from_utf8(fraction).ok()?;
        if (1..=digits_max).contains(&digits) { digits_of(fraction, 6) } else { None }
    }

    fn date(&mut self, digits_min: usize) -> Option<i64> {
        let year = self.number(4, 4)?;
        let month = self.literal(b'-').and_then(|()| self.number(digits_min, 2))?;
        let day = self.literal(b'-').and_then(|()| self.number(digits_min, 2))?;
        epoch_day(year, month, day)
    }

    /// Seconds east of UTC: `Z`, `±HH`, `±HHMM`, `±HH:MM`.
    fn offset(&mut self) -> Option<i64> {
        if self.literal(b'Z').is_some() {
            return Some(0);
        }
        let sign = if self.literal(b'+').is_some() { 1 } else { self.literal(b'-').map(|()| -1)? };
        let hours = self.number(2, 2)?;
        let colon = self.literal(b':').is_some();
        let minutes = if colon || !self.0.is_empty() { self.number(2, 2)? } else { 0 };
        (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }

    /// The place in `names` of the name that is next, long or short, without case.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let letters = self.0.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (word, rest) = self.0.split_at(letters);
        let short = word.get(..3)?;
        self.0 = rest;
        names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(short)).and_then(|at| i64::try_from(at).ok())
    }
}

/// An entry of `TimestampFormats`: a Joda pattern, or `millis`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    Millis,
    Pattern(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(u8),
    Field(u8, usize),
}

impl Format {
    /// Reads a pattern of `y M d H h m s S a Z E` and quoted text; `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "millis" {
            return Some(Self::Millis);
        }
        let mut pieces = Vec::new();
        let mut bytes = text.bytes().peekable();
        let mut quoted = false;
        while let Some(byte) = bytes.next() {
            match byte {
                b'\'' if bytes.next_if_eq(&b'\'').is_some() => pieces.push(Piece::Literal(b'\'')),
                b'\'' => quoted = !quoted,
                b'A'..=b'Z' | b'a'..=b'z' if !quoted => {
                    let mut count = 1;
                    while bytes.next_if_eq(&byte).is_some() {
                        count += 1;
                    }
                    if !b"yMdHhmsSaZE".contains(&byte) {
                        return None;
                    }
                    pieces.push(Piece::Field(byte, count));
                }
                other => pieces.push(Piece::Literal(other)),
            }
        }
        (!quoted && !pieces.is_empty()).then_some(Self::Pattern(pieces))
    }

    fn read(&self, text: &str) -> Option<i64> {
        let pieces = match self {
            Self::Millis => return text.parse::<i64>().ok()?.checked_mul(1_000),
            Self::Pattern(pieces) => pieces,
        };
        let mut cursor = Cursor(text.as_bytes());
        let (mut year, mut month, mut day) = (1970, 1, 1);
        let (mut hour, mut minute, mut second, mut micros, mut offset_s) = (0, 0, 0, 0, 0);
        let mut afternoon = None;
        for piece in pieces {
            match piece {
                Piece::Literal(byte) => cursor.literal(*byte)?,
                Piece::Field(b'y', 2) => year = 2000 + cursor.number(2, 2)?,
                Piece::Field(b'y', _) => year = cursor.number(1, 4)?,
                Piece::Field(b'M', 3..) => month = cursor.name(&MONTHS)? + 1,
                Piece::Field(b'M', _) => month = cursor.number(1, 2)?,
                Piece::Field(b'd', _) => day = cursor.number(1, 2)?,
                Piece::Field(b'H' | b'h', _) => hour = cursor.number(1, 2)?,
                Piece::Field(b'm', _) => minute = cursor.number(1, 2)?,
                Piece::Field(b's', _) => second = cursor.number(1, 2)?,
                Piece::Field(b'S', _) => micros = cursor.fraction(9)?,
                Piece::Field(b'a', _) => afternoon = Some(cursor.half_day()?),
                Piece::Field(b'Z', _) => offset_s = cursor.offset()?,
                Piece::Field(..) => drop(cursor.name(&DAYS)?),
            }
        }
        cursor.0.is_empty().then_some(())?;
        if let Some(afternoon) = afternoon {
            (1..=12).contains(&hour).then_some(())?;
            hour = hour % 12 + if afternoon { 12 } else { 0 };
        }
        instant(epoch_day(year, month, day)?, hour, minute, second, micros, offset_s)
    }
}

impl Cursor<'_> {
    /// True for `PM`.
    fn half_day(&mut self) -> Option<bool> {
        let (word, rest) = self.0.split_at_checked(2)?;
        self.0 = rest;
        if word.eq_ignore_ascii_case(b"pm") { Some(true) } else { word.eq_ignore_ascii_case(b"am").then_some(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(instant: &str) -> i64 {
        instant.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn open_x_reads_what_the_reference_lists() {
        for (text, expected) in [
            ("2026-07-13T14:05:09Z", "2026-07-13T14:05:09Z"),
            ("2026-07-13T14:05:09", "2026-07-13T14:05:09Z"),
            ("2026-07-13T14:05:09.123456789+02:00", "2026-07-13T12:05:09.123456Z"),
            ("2026-07-13T14:05-0130", "2026-07-13T15:35:00Z"),
            ("2026-7-3 4:5:9", "2026-07-03T04:05:09Z"),
            ("2026-07-13 14:05:09.5", "2026-07-13T14:05:09.5Z"),
            ("1783951509", "2026-07-13T14:05:09Z"),
            ("1783951509.25", "2026-07-13T14:05:09.25Z"),
            ("1783951509000", "2026-07-13T14:05:09Z"),
            ("-1.5", "1969-12-31T23:59:58.5Z"),
            ("1.783951509e9", "2026-07-13T14:05:09Z"),
        ] {
            assert_eq!(open_x(text), Some(micros(expected)), "{text}");
        }
        for wrong in [
            "",
            "x",
            "2026-7-3T04:05:09",
            "2026-02-30 00:00:00",
            "2026-07-13T24:00:00",
            "2026-07-13T14:05:09.1234567890",
            "2026-07-13T14:05:09 ",
            "2026-07-13T14:05:09+2",
            "2026-07-13",
            "-",
            ".",
            "1e400",
        ] {
            assert_eq!(open_x(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hive_reads_by_its_formats() {
        let read = |format: &str, text: &str| Format::parse(format).unwrap().read(text);
        assert_eq!(by_formats("2026-7-3 4:5:9.25", &[]), Some(micros("2026-07-03T04:05:09.25Z")));
        assert_eq!(by_formats("2026-07-03T04:05:09", &[]), None);
        assert_eq!(read("millis", "1783951509000"), Some(micros("2026-07-13T14:05:09Z")));
        assert_eq!(
            read("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2026-07-13T14:05:09.5+0200"),
            Some(micros("2026-07-13T12:05:09.5Z"))
        );
        assert_eq!(read("dd/MMM/yyyy:HH:mm:ss Z", "13/Jul/2026:14:05:09 +0000"), Some(micros("2026-07-13T14:05:09Z")));
        assert_eq!(read("EEE, d MMM yy h:mm a", "Mon, 13 July 26 12:05 AM"), Some(micros("2026-07-13T00:05:00Z")));
        assert_eq!(read("yyyy-MM-dd", "2026-07-13x"), None);
        for wrong in ["", "yyyy-QQ", "'open"] {
            assert_eq!(Format::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_count_from_the_epoch() {
        assert_eq!(day("1970-01-01"), Some(0));
        assert_eq!(day("1969-12-31"), Some(-1));
        assert_eq!(day("2026-7-3"), Some(20_637));
        assert_eq!(day("2026-13-01"), None);
        assert_eq!(day("2026-07-13 "), None);
    }
}
