//! Which time zones `CustomTimeZone` may name, and what they are.
//!
//! AWS keeps a list of old IANA names and `UTC`. What was measured: names of three letters are
//! refused, `Asia/Calcutta` and `Europe/Kiev` are known, `Asia/Kolkata` and `Europe/Kyiv` are not.
//! That is the CLDR's habit of keeping the first name of a zone, so the newer names of the zones that
//! the CLDR knows under an older one are refused here too.

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Text of AWS.
const REFUSED: &str = "Provided custom time zone is not supported. Custom time zones are limited to UTC and non-3-letter IANA time zones.";
/// Newer names of zones that are known under an older one.
const NEWER_NAMES: [&str; 14] = [
    "Africa/Asmara",
    "America/Atikokan",
    "America/Kentucky/Louisville",
    "America/Nuuk",
    "Asia/Ho_Chi_Minh",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Yangon",
    "Atlantic/Faroe",
    "Europe/Kyiv",
    "Pacific/Chuuk",
    "Pacific/Kanton",
    "Pacific/Pohnpei",
    "America/Indiana/Indianapolis",
];

/// The zone of this name; empty means UTC.
pub(super) fn custom(name: &str) -> Result<TimeZone, String> {
    if name.is_empty() || name == "UTC" {
        return Ok(TimeZone::UTC);
    }
    let in_pattern = name.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'/' | b'_' | b'-'));
    if name.len() <= 3 || !in_pattern || NEWER_NAMES.contains(&name) {
        return Err(REFUSED.into());
    }
    let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| REFUSED)?;
    // The database ignores case; AWS does not.
    if zone.iana_name() == Some(name) { Ok(zone) } else { Err(REFUSED.into()) }
}
