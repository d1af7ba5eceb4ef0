//! Prints a time by a Java date pattern, in the US locale that Firehose uses (weeks start on Sunday,
//! the week of 1 January is week 1).
//!
//! Names of time zones come from the IANA database: `z` prints its abbreviation (`JST`), and so do
//! `zzzz` and `v`, for which Java would ask the CLDR for words; only `UTC` has its words here.

use std::fmt::{self, Write};

use jiff::Zoned;

use super::pattern::{Pattern, Piece};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
/// Days from the first day of the modified Julian calendar to the Unix epoch.
const MODIFIED_JULIAN_EPOCH_DAYS: i64 = 40_587;
const SECONDS_PER_DAY: i64 = 86_400;

/// Letters of a time zone's name at most: `Coordinated Universal Time`.
const ZONE_CHARS_MAX: usize = 26;

impl Pattern {
    /// Appends what stands for any time: the pattern's own text as it is, and for each field as many
    /// digits as it has letters at its longest.
    pub(super) fn print_widest(&self, out: &mut String) {
        for piece in self.pieces() {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(letter, count) => {
                    out.extend(std::iter::repeat_n('0', chars_max(*letter, *count)));
                }
            }
        }
    }

    /// Appends `time` to `out`.
    pub(super) fn print(&self, time: &Zoned, out: &mut String) {
        for piece in self.pieces() {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(letter, count) => {
                    #[expect(clippy::expect_used, reason = "fmt::Write of String never fails")]
                    field(*letter, *count, time, out).expect("a String takes what is written");
                }
            }
        }
    }
}

fn field(letter: char, count: usize, time: &Zoned, out: &mut String) -> fmt::Result {
    let hour = i64::from(time.hour());
    let nano = i64::from(time.subsec_nanosecond());
    let second_of_day = hour * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    let month = usize::from(time.month().unsigned_abs());
    let quarter = (month - 1) / 3 + 1;
    let weekday = usize::from(time.weekday().to_sunday_zero_offset().unsigned_abs());
    let day = i64::from(time.day());
    match letter {
        'u' | 'y' => year(i64::from(time.year()), count, out),
        'Y' => year(week_of_year(time).0, count, out),
        'w' => number(week_of_year(time).1, count, out),
        'W' => {
            let first_weekday = (weekday as i64 - (day - 1)).rem_euclid(7);
            number((day - 1 + first_weekday) / 7 + 1, count, out)
        }
        'F' => number((day - 1) / 7 + 1, count, out),
        'M' | 'L' => text_or_number(MONTHS[month - 1], month, count, out),
        'Q' | 'q' => match count {
            3 => write!(out, "Q{quarter}"),
            4 => write!(out, "{}", QUARTERS[quarter - 1]),
            5 => write!(out, "{quarter}"),
            _ => number(quarter as i64, count, out),
        },
        'E' if count <= 3 => text_or_number(DAYS[weekday], 0, 3, out),
        'E' | 'e' | 'c' => text_or_number(DAYS[weekday], weekday + 1, count, out),
        'D' => number(i64::from(time.day_of_year()), count, out),
        'd' => number(day, count, out),
        'H' => number(hour, count, out),
        'k' => number(if hour == 0 { 24 } else { hour }, count, out),
        'K' => number(hour % 12, count, out),
        'h' => number(if hour % 12 == 0 { 12 } else { hour % 12 }, count, out),
        'm' => number(i64::from(time.minute()), count, out),
        's' => number(i64::from(time.second()), count, out),
        'S' => write!(out, "{:09}", nano).map(|()| out.truncate(out.len() - (9 - count))),
        'n' => number(nano, count, out),
        'A' => number(second_of_day * 1000 + nano / 1_000_000, count, out),
        'N' => number(second_of_day * 1_000_000_000 + nano, count, out),
        'g' => number(epoch_day(time) + MODIFIED_JULIAN_EPOCH_DAYS, count, out),
        'a' => out.write_str(if hour < 12 { "AM" } else { "PM" }),
        'B' => out.write_str(day_period(second_of_day)),
        'G' => out.write_str(match count {
            4 => "Anno Domini",
            5 => "A",
            _ => "AD",
        }),
        _ => zone(letter, count, time, out),
    }
}

/// Letters of a field at most, whatever the time (from 1970 on) and the zone.
fn chars_max(letter: char, count: usize) -> usize {
    match (letter, count) {
        ('y' | 'u' | 'Y', 2) => 2,
        ('y' | 'u', _) => count.max(4),
        // The last week of the year 9999 is of the year 10000.
        ('Y', _) => count.max(5),
        ('M' | 'L', 4) => "September".len(),
        ('Q' | 'q', 4) => "1st quarter".len(),
        ('E' | 'e' | 'c', 4) => "Wednesday".len(),
        ('M' | 'L' | 'Q' | 'q' | 'E' | 'e' | 'c', 5) => 1,
        ('M' | 'L' | 'Q' | 'q' | 'e' | 'c', 1 | 2) => 2,
        ('M' | 'L' | 'Q' | 'q' | 'E' | 'e' | 'c', _) => 3,
        ('D', _) => count.max(3),
        ('n', _) => count.max(9),
        ('A', _) => count.max(8),
        ('N', _) => count.max(14),
        ('g', _) => count.max(7),
        ('S', _) => count,
        ('B', _) => "in the afternoon".len(),
        ('G', 4) => "Anno Domini".len(),
        ('z' | 'v', _) => ZONE_CHARS_MAX,
        ('O' | 'Z' | 'X' | 'x', _) => "GMT+00:00:00".len(),
        _ => count.max(2),
    }
}

fn number(value: i64, width: usize, out: &mut String) -> fmt::Result {
    write!(out, "{value:0width$}")
}

fn year(value: i64, count: usize, out: &mut String) -> fmt::Result {
    if count == 2 { number(value.rem_euclid(100), 2, out) } else { number(value, count, out) }
}

/// One or two letters print the number, three the short name, four the long, five its first letter.
fn text_or_number(name: &str, value: usize, count: usize, out: &mut String) -> fmt::Result {
    match count {
        1 | 2 => number(value as i64, count, out),
        4 => out.write_str(name),
        _ => name.chars().take(if count == 5 { 1 } else { 3 }).try_for_each(|c| out.write_char(c)),
    }
}

/// Week-based year and week of the US calendar.
fn week_of_year(time: &Zoned) -> (i64, i64) {
    let year = i64::from(time.year());
    let day_of_year = i64::from(time.day_of_year());
    let weekday = i64::from(time.weekday().to_sunday_zero_offset());
    let days_to_saturday = 6 - weekday;
    if day_of_year + days_to_saturday > i64::from(time.days_in_year()) {
        return (year + 1, 1);
    }
    let first_weekday = (weekday - (day_of_year - 1)).rem_euclid(7);
    (year, (day_of_year - 1 + first_weekday) / 7 + 1)
}

fn epoch_day(time: &Zoned) -> i64 {
    let local_second = time.timestamp().as_second() + i64::from(time.offset().seconds());
    local_second.div_euclid(SECONDS_PER_DAY)
}

/// Day periods of English (CLDR).
fn day_period(second_of_day: i64) -> &'static str {
    match (second_of_day / 3600, second_of_day) {
        (_, 0) => "midnight",
        (_, 43_200) => "noon",
        (6..=11, _) => "in the morning",
        (12..=17, _) => "in the afternoon",
        (18..=20, _) => "in the evening",
        _ => "at night",
    }
}

fn zone(letter: char, count: usize, time: &Zoned, out: &mut String) -> fmt::Result {
    let seconds = time.offset().seconds();
    match (letter, count) {
        ('z' | 'v', 4) if time.time_zone().iana_name() == Some("UTC") => out.write_str("Coordinated Universal Time"),
        ('z' | 'v', _) => out.write_str(time.time_zone().to_offset_info(time.timestamp()).abbreviation()),
        ('Z', 4) | ('O', 4) => localized_offset(seconds, true, out),
        ('O', _) => localized_offset(seconds, false, out),
        ('Z', 5) | ('X', _) if seconds == 0 => out.write_char('Z'),
        ('Z', 1..=3) => offset(seconds, 2, out),
        ('Z', _) => offset(seconds, 5, out),
        _ => offset(seconds, count, out),
    }
}

/// `X` and `x` by their count: 1 `+HHmm` (minutes only where there are), 2 `+HHMM`, 3 `+HH:MM`,
/// 4 and 5 the same with seconds where there are.
fn offset(seconds: i32, count: usize, out: &mut String) -> fmt::Result {
    let (hours, minutes, rest) = parts(seconds);
    let colon = if matches!(count, 3 | 5) { ":" } else { "" };
    write!(out, "{}{hours:02}", sign(seconds))?;
    if count > 1 || minutes > 0 {
        write!(out, "{colon}{minutes:02}")?;
    }
    if count >= 4 && rest > 0 {
        write!(out, "{colon}{rest:02}")?;
    }
    Ok(())
}

fn localized_offset(seconds: i32, full: bool, out: &mut String) -> fmt::Result {
    let (hours, minutes, rest) = parts(seconds);
    out.write_str("GMT")?;
    if seconds == 0 {
        return Ok(());
    }
    let width = if full { 2 } else { 1 };
    write!(out, "{}{hours:0width$}", sign(seconds))?;
    if full || minutes > 0 || rest > 0 {
        write!(out, ":{minutes:02}")?;
    }
    if rest > 0 { write!(out, ":{rest:02}") } else { Ok(()) }
}

fn sign(seconds: i32) -> char {
    if seconds < 0 { '-' } else { '+' }
}

fn parts(seconds: i32) -> (i32, i32, i32) {
    let absolute = seconds.abs();
    (absolute / 3600, absolute / 60 % 60, absolute % 60)
}
