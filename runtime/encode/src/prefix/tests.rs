//! The worked keys, the refusal texts and the Java patterns of the reference.

use super::*;
use millrace_types::SeededEntropy;

const UUID: &str = "11111111-2222-4333-8444-555555555555";
/// 2026-07-13T14:05:09Z
const INSTANT_MS: i64 = 1_783_951_509_000;

fn parts<'a>(extension: &'a str, partition_keys: &'a [(&'a str, &'a str)]) -> KeyParts<'a> {
    KeyParts { stream: "s", version: 2, instant_ms: INSTANT_MS, uuid: UUID, extension, partition_keys }
}

fn data(prefix: &str, zone: &str, extension: &str) -> String {
    let prefixes = Prefixes::new(prefix, "e/!{firehose:error-output-type}/", zone, false).unwrap();
    prefixes.data_key(&parts(extension, &[]), &SeededEntropy::new(3)).unwrap()
}

fn error(prefix: &str, error_prefix: &str) -> String {
    let prefixes = Prefixes::new(prefix, error_prefix, "", false).unwrap();
    prefixes.error_key(&parts("", &[]), "processing-failed", &SeededEntropy::new(3)).unwrap()
}

fn refusal(prefix: &str, error_prefix: &str, zone: &str, partitioned: bool) -> String {
    Prefixes::new(prefix, error_prefix, zone, partitioned).unwrap_err()
}

/// `value` printed by `pattern`, in the folder that a prefix makes of it.
fn printed(pattern: &str, zone: &str) -> String {
    let key = data(&format!("!{{timestamp:{pattern}}}|"), zone, "");
    key.split_once('|').unwrap().0.to_owned()
}

#[test]
fn the_worked_examples_of_the_reference() {
    let name = format!("s-2-2026-07-13-14-05-09-{UUID}");
    assert_eq!(data("", "", ""), format!("2026/07/13/14/{name}"));
    assert_eq!(data("raw/", "", ".gz"), format!("raw/2026/07/13/14/{name}.gz"));
    assert_eq!(data("raw", "", ""), format!("raw2026/07/13/14/{name}"));
    assert_eq!(data("", "Asia/Tokyo", ""), format!("2026/07/13/23/s-2-2026-07-13-23-05-09-{UUID}"));

    let random = data("y=!{timestamp:yyyy}/!{firehose:random-string}-", "", "");
    let (before, after) = random.split_once("-s-2-2026-07-13-14-05-09-").unwrap();
    assert_eq!(before.len(), "y=2026/".len() + 11);
    assert!(before.starts_with("y=2026/") && before.bytes().skip(7).all(|b| b.is_ascii_alphanumeric()), "{before}");
    assert_eq!(after, UUID);

    let twice = data("x/!{firehose:random-string}/!{firehose:random-string}/", "", "");
    let segments: Vec<&str> = twice.split('/').collect();
    assert_eq!((segments[0], segments[1].len(), segments[3]), ("x", 11, name.as_str()));
    assert_ne!(segments[1], segments[2], "fresh at each occurrence");

    assert_eq!(error("", "err/!{firehose:error-output-type}/"), format!("err/processing-failed/{name}"));
    assert_eq!(error("", ""), format!("processing-failed/2026/07/13/14/{name}"));
    assert_eq!(error("raw/", ""), format!("raw/processing-failed/2026/07/13/14/{name}"));
    assert_eq!(error("", "bad/"), format!("bad/processing-failed/2026/07/13/14/{name}"));

    let prefixes =
        Prefixes::new("c=!{partitionKeyFromQuery:customer_id}/", "e/!{firehose:error-output-type}/", "", true).unwrap();
    let keys = [("customer_id", "42")];
    assert_eq!(prefixes.data_key(&parts("", &keys), &SeededEntropy::new(1)).unwrap(), format!("c=42/{name}"));
}

#[test]
fn refusals_have_the_texts_of_the_reference() {
    let typed = "!{firehose:error-output-type}";
    assert_eq!(
        refusal("!{timestamp:yyyy}/", "", "", false),
        "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"
    );
    assert_eq!(
        refusal("", "!{timestamp:yyyy}/", "", false),
        "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}"
    );
    assert_eq!(
        refusal(typed, typed, "", false),
        "Prefix must not contain any occurrence of !{firehose:error-output-type}"
    );
    assert_eq!(refusal("a!{b", typed, "", false), "Invalid expression usage");
    assert_eq!(refusal("a!{b}", typed, "", false), "Invalid expression usage");
    assert_eq!(refusal("!{foo:bar}", typed, "", false), "Namespace to the left of colon (foo) is an invalid keyword!");
    assert_eq!(
        refusal("!{timestamp:bbb}", typed, "", false),
        "Invalid conversion character used in the value of the expression in Prefix"
    );
    assert_eq!(
        refusal("!{firehose:uuid}", typed, "", false),
        "Invalid conversion character used in the value of the expression in Prefix"
    );
    assert_eq!(
        refusal("", &format!("{typed}!{{timestamp:T}}"), "", false),
        "Invalid conversion character used in the value of the expression in ErrorOutputPrefix"
    );
    assert_eq!(
        refusal("", &format!("{typed}!{{partitionKeyFromLambda:a}}"), "", false),
        "Dynamic Partitioning Namespaces can't be part of an error prefix expression"
    );
    assert_eq!(
        refusal("a/", typed, "", true),
        "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled"
    );
    assert_eq!(refusal(&"a".repeat(510), typed, "", false), "Length of evaluated prefix cannot be greater than 512");
    let zone = "Provided custom time zone is not supported. Custom time zones are limited to UTC and non-3-letter IANA time zones.";
    for name in ["EST", "GMT", "Asia/Kolkata", "Europe/Kyiv", "asia/tokyo", "Nowhere/Land", "+01:00", "Etc/GMT+1"] {
        assert_eq!(refusal("", "", name, false), zone, "{name}");
    }
    for name in ["", "UTC", "Asia/Calcutta", "Europe/Kiev", "Asia/Tokyo", "America/Port-au-Prince", "Africa/Porto-Novo"]
    {
        assert!(Prefixes::new("", "", name, false).is_ok(), "{name}");
    }
    assert!(Prefixes::new("../x/", "", "", false).is_err());
}

#[test]
fn exactly_the_refused_letters_are_refused() {
    for letter in ('A'..='Z').chain('a'..='z') {
        let refused = "CIJPRTUVbfijloprt".contains(letter);
        let pattern = letter.to_string();
        assert_eq!(Pattern::parse(&pattern).is_none(), refused, "{letter}");
    }
    for wrong in ["", "'open", "HHH", "DDDD", "aa", "S".repeat(10).as_str(), "]", "yyyy{", "#"] {
        assert!(Pattern::parse(wrong).is_none(), "{wrong}");
    }
}

/// Values printed by `DateTimeFormatter.ofPattern(…, Locale.US)`.
#[test]
fn patterns_print_as_java_does() {
    for (pattern, expected) in [
        ("yyyy-MM-dd", "2026-07-13"),
        ("yy u yyyyy", "26 2026 02026"),
        ("M MM MMM MMMM MMMMM", "7 07 Jul July J"),
        ("D DDD", "194 194"),
        ("Q QQ QQQ QQQQ", "3 03 Q3 3rd quarter"),
        ("E EEEE EEEEE e ee c", "Mon Monday M 2 02 2"),
        ("Y w W F", "2026 29 3 2"),
        ("a h hh K k H HH", "PM 2 02 2 14 14 14"),
        ("m mm s ss S SSS", "5 05 9 09 0 000"),
        ("A N n", "50709000 50709000000000 0"),
        ("B", "in the afternoon"),
        ("g", "61234"),
        ("G GGGG", "AD Anno Domini"),
        ("z Z ZZZZ ZZZZZ", "UTC +0000 GMT Z"),
        ("X XXX x xxx O", "Z Z +00 +00:00 GMT"),
        ("'day='dd''''[HH]", "day=13'14"),
        ("''yyyy", "'2026"),
    ] {
        assert_eq!(printed(pattern, ""), expected, "{pattern}");
    }
    assert_eq!(printed("HH z Z X XX XXX O OOOO", "Asia/Tokyo"), "23 JST +0900 +09 +0900 +09:00 GMT+9 GMT+09:00");
    assert_eq!(printed("HHmm z XXX", "Asia/Calcutta"), "1935 IST +05:30");
    assert_eq!(printed("HH XX", "America/New_York"), "10 -0400");
}

#[test]
fn week_years_follow_the_us_calendar() {
    let week = |instant: &str| {
        let time: Timestamp = instant.parse().unwrap();
        let mut out = String::new();
        Pattern::parse("Y-'W'ww").unwrap().print(&time.to_zoned(TimeZone::UTC), &mut out);
        out
    };
    assert_eq!(week("2026-12-26T00:00:00Z"), "2026-W52");
    assert_eq!(week("2026-12-27T00:00:00Z"), "2027-W01");
    assert_eq!(week("2027-01-01T00:00:00Z"), "2027-W01");
    assert_eq!(week("2023-12-31T00:00:00Z"), "2024-W01");
    assert_eq!(week("2028-12-30T00:00:00Z"), "2028-W53");
}

#[test]
fn a_partition_value_never_leaves_the_prefix() {
    let prefixes = Prefixes::new(
        "t/!{partitionKeyFromLambda:a}/!{timestamp:yyyy}/!{partitionKeyFromLambda:b}/",
        "e/!{firehose:error-output-type}/",
        "",
        true,
    )
    .unwrap();
    assert_eq!(prefixes.partition_keys().collect::<Vec<_>>(), ["a", "b"]);
    let evaluated = |a: &str, b: &str| prefixes.evaluated_prefix(&[("b", b), ("a", a)]);
    assert_eq!(evaluated("x", "y").unwrap(), "t/x/yyyy/y/");
    assert_eq!(evaluated("x/y", "ä").unwrap(), "t/x/y/yyyy/ä/");
    assert_eq!(evaluated("...", "..a").unwrap(), "t/.../yyyy/..a/");
    for climbing in ["..", ".", "../..", "a/../b", "a/..", "\0", "a\nb", "\u{7f}"] {
        assert!(evaluated(climbing, "y").is_err(), "{climbing:?}");
        assert!(prefixes.data_key(&parts("", &[("a", "x"), ("b", climbing)]), &SeededEntropy::new(1)).is_err());
    }
    assert_eq!(evaluated("", "y").unwrap_err(), "partitionKeys values must not be null or empty");
    assert_eq!(prefixes.evaluated_prefix(&[("a", "x")]).unwrap_err(), "partitionKeys values must not be null or empty");
    assert!(evaluated(&"x".repeat(600), "y").is_err());
}
