//! The worked keys, the refusal texts and the Java patterns of the reference.

use super::*;
use millrace_types::SeededEntropy;

const UUID: &str = "11111111-2222-4333-8444-555555555555";
/// An error prefix as it has to be.
const TYPED: &str = "e/!{firehose:error-output-type}/";
/// 2026-07-13T14:05:09Z
const INSTANT_MS: i64 = 1_783_951_509_000;

fn parts<'a>(extension: &'a str, partition_keys: &'a [(&'a str, &'a str)]) -> KeyParts<'a> {
    KeyParts { instant_ms: INSTANT_MS, uuid: UUID, extension, partition_keys }
}

fn settings<'a>(prefix: &'a str, error_prefix: &'a str) -> PrefixSettings<'a> {
    PrefixSettings {
        stream: "s",
        version: 2,
        prefix,
        error_prefix,
        time_zone: "",
        file_extension: "",
        encrypted: false,
        dynamic_partitioning: false,
    }
}

fn partitioned(prefix: &str) -> Prefixes {
    Prefixes::new(&PrefixSettings { dynamic_partitioning: true, ..settings(prefix, TYPED) }).unwrap()
}

fn data(prefix: &str, time_zone: &str, extension: &str) -> String {
    let prefixes = Prefixes::new(&PrefixSettings { time_zone, ..settings(prefix, TYPED) }).unwrap();
    prefixes.data_key(&parts(extension, &[]), &SeededEntropy::new(3))
}

fn error(prefix: &str, error_prefix: &str) -> String {
    let prefixes = Prefixes::new(&settings(prefix, error_prefix)).unwrap();
    prefixes.error_key(&parts("", &[]), "processing-failed", &SeededEntropy::new(3))
}

fn refusal(prefix: &str, error_prefix: &str, time_zone: &str, dynamic_partitioning: bool) -> String {
    let settings = PrefixSettings { time_zone, dynamic_partitioning, ..settings(prefix, error_prefix) };
    Prefixes::new(&settings).unwrap_err()
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

    let prefixes = partitioned("c=!{partitionKeyFromQuery:customer_id}/");
    let keys = [("customer_id", "42")];
    assert_eq!(prefixes.data_key(&parts("", &keys), &SeededEntropy::new(1)), format!("c=42/{name}"));
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
        assert!(Prefixes::new(&PrefixSettings { time_zone: name, ..settings("", "") }).is_ok(), "{name}");
    }
}

#[test]
fn keys_that_some_store_refuses_are_refused_with_the_member_and_the_reason() {
    let control = "holds the control character U+";
    let dots = "makes a key with a segment '.' or '..'";
    let segment = |bytes: usize| format!("makes a key with {bytes} bytes between two slashes");
    let long = format!("{}/", "x".repeat(256));
    let two_bytes = format!("{}/", "ä".repeat(128));
    let many = format!("!{{timestamp:yyyy}}/{}", "äää/".repeat(123));
    for (prefix, error_prefix, wanted) in [
        ("a\0b/", "", format!("Prefix {control}0000")),
        ("a/\u{1b}/", TYPED, format!("Prefix {control}001B")),
        ("", "e\t/", format!("ErrorOutputPrefix {control}0009")),
        ("!{timestamp:'\u{7f}'}/", TYPED, format!("Prefix {control}007F")),
        ("../x/", "", format!("Prefix {dots}")),
        ("a/./b/", "", format!("Prefix {dots}")),
        ("a/!{timestamp:'.'}./", TYPED, format!("Prefix {dots}")),
        ("", "../", format!("ErrorOutputPrefix {dots}")),
        (&long, "", format!("Prefix {}", segment(256))),
        (&two_bytes, "", format!("Prefix {}", segment(256))),
        ("", &long, format!("ErrorOutputPrefix {}", segment(256))),
        // The name is `s-2-`, 20 bytes of time, 36 of UUID and `.parquet`.
        (&format!("!{{firehose:random-string}}{}", "x".repeat(177)), TYPED, format!("Prefix {}", segment(256))),
    ] {
        let found = Prefixes::new(&settings(prefix, error_prefix)).err();
        assert!(
            found.as_ref().is_some_and(|found| found.starts_with(&wanted)),
            "{prefix:?}: {found:?} is not {wanted}"
        );
    }
    // 497 letters and 866 bytes, which a long name makes more than 1,024.
    assert!(Prefixes::new(&settings(&many, TYPED)).is_ok());
    let file_extension = format!(".{}", "x".repeat(127));
    let found = Prefixes::new(&PrefixSettings { file_extension: &file_extension, ..settings(&many, TYPED) });
    assert!(found.as_ref().is_err_and(|text| text.starts_with("Prefix makes a key of 1054 bytes")), "{found:?}");
    // At the limits.
    for prefix in ["..", "a/..", "...", ".a/", "/a//b/", &format!("{}/", "x".repeat(255)), &"x".repeat(255 - 15 - 68)] {
        assert!(Prefixes::new(&settings(prefix, "")).is_ok(), "{prefix}");
    }
    let instruction = PrefixSettings { encrypted: true, ..settings("", TYPED) };
    let name = |extra: usize| "x".repeat(255 - 68 - 12 + extra);
    let fits = format!("!{{firehose:random-string}}/{}", name(0));
    assert!(Prefixes::new(&PrefixSettings { prefix: &fits, ..instruction }).is_ok());
    let over = format!("!{{firehose:random-string}}/{}", name(1));
    assert!(Prefixes::new(&PrefixSettings { prefix: &over, ..instruction }).is_err());
}

/// A pattern may print more than its letters: that is counted when the stream is made, or the first
/// record of a Wednesday in September would make a key that nothing can take.
#[test]
fn a_date_that_prints_longer_than_it_is_written_is_counted_at_its_longest() {
    let longest = format!("!{{timestamp:{}}}/", "EEEE/".repeat(51));
    assert_eq!(51 * 10 + 1, 511);
    let prefixes = Prefixes::new(&settings(&longest, TYPED)).unwrap();
    let wednesday = KeyParts { instant_ms: INSTANT_MS + 2 * 86_400_000, ..parts("", &[]) };
    let key = prefixes.data_key(&wednesday, &SeededEntropy::new(1));
    assert!(key.starts_with(&"Wednesday/".repeat(51)), "{key}");
    let over = format!("!{{timestamp:{}}}/", "EEEE/".repeat(52));
    let length = "Length of evaluated prefix cannot be greater than 512";
    // 1 January 1970 was a Thursday: the same prefix fits then.
    assert_eq!(Prefixes::new(&settings(&over, TYPED)).unwrap_err(), length);
    let nanos = format!("!{{timestamp:{}}}/", "n-N-A/".repeat(16));
    assert_eq!(Prefixes::new(&settings(&nanos, TYPED)).unwrap_err(), length);
    // What AWS takes to the last letter: a prefix of 498 and `yyyy/MM/dd/HH/`.
    let edge = "x/".repeat(249);
    assert!(Prefixes::new(&settings(&edge, "e/")).is_ok());
    assert_eq!(Prefixes::new(&settings(&format!("{edge}x"), "e/")).unwrap_err(), length);
    // A long error folder is counted where a short one would fit.
    let error_prefix = format!("{}!{{firehose:error-output-type}}/", "e/".repeat(245));
    assert_eq!(Prefixes::new(&settings("", &error_prefix)).unwrap_err(), length);
    // A pattern's text may be longer than what it prints, too: 400 quotes are a text of 199.
    let quotes = format!("!{{timestamp:{}}}/", "''".repeat(200));
    assert!(data(&quotes, "", "").starts_with(&format!("{}/s-2-", "'".repeat(199))));
}

#[test]
fn no_field_prints_longer_than_its_longest() {
    let zones: Vec<TimeZone> = jiff::tz::TimeZoneDatabase::bundled()
        .available()
        .filter_map(|name| jiff::tz::TimeZoneDatabase::bundled().get(name.as_str()).ok())
        .collect();
    assert!(zones.len() > 300, "{}", zones.len());
    let instants: Vec<Timestamp> = (0..40)
        .map(|nth| Timestamp::from_millisecond(nth * nth * nth * 4_000_000_123).unwrap())
        .chain(["9999-12-28T23:59:59.999Z", "2026-09-30T12:00:00Z"].map(|text| text.parse().unwrap()))
        .collect();
    for letter in ('A'..='Z').chain('a'..='z') {
        for count in 1..=19 {
            let Some(pattern) = Pattern::parse(&letter.to_string().repeat(count)) else { continue };
            let mut widest = String::new();
            pattern.print_widest(&mut widest);
            for (nth, zone) in zones.iter().enumerate() {
                let mut printed = String::new();
                pattern.print(&instants[nth % instants.len()].to_zoned(zone.clone()), &mut printed);
                let name = zone.iana_name();
                assert!(printed.len() <= widest.len(), "{letter}{count} {name:?}: {printed} {widest}");
                assert!(!printed.is_empty() && !printed.contains(['/', '.']), "{letter}{count}: {printed}");
            }
        }
    }
}

#[test]
fn any_instant_has_a_key() {
    for instant_ms in [i64::MIN, -1, 0, i64::MAX] {
        let prefixes = Prefixes::new(&settings("!{timestamp:u-MM}/", TYPED)).unwrap();
        let key = prefixes.data_key(&KeyParts { instant_ms, ..parts("", &[]) }, &SeededEntropy::new(1));
        assert!(key.starts_with("1970-01/") || key.starts_with("9999-12/"), "{key}");
    }
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
    let prefixes = partitioned("t/!{partitionKeyFromLambda:a}/!{timestamp:yyyy}/!{partitionKeyFromLambda:b}/");
    assert_eq!(prefixes.partition_keys().collect::<Vec<_>>(), ["a", "b"]);
    let evaluated = |a: &str, b: &str| prefixes.partition(&[("b", b), ("a", a)]);
    assert_eq!(evaluated("x", "y").unwrap(), "t/x/\u{1}/y/");
    assert_eq!(evaluated("x/y", "ä").unwrap(), "t/x/y/\u{1}/ä/");
    assert_eq!(evaluated("...", "..a").unwrap(), "t/.../\u{1}/..a/");
    for bad in ["..", ".", "../..", "a/../b", "a/..", "\0", "a\nb", "\u{7f}", "/a", "a/", "a//b", "/"] {
        assert!(evaluated(bad, "y").is_err() && evaluated("y", bad).is_err(), "{bad:?}");
    }
    let missing = "partitionKeys values must not be null or empty";
    assert_eq!(evaluated("", "y").unwrap_err(), missing);
    assert_eq!(prefixes.partition(&[("a", "x")]).unwrap_err(), missing);
    // Too many letters, too many bytes between two slashes, too many in all.
    for long in ["x/".repeat(250) + "x", "ä".repeat(128), "ää/".repeat(150) + "ä"] {
        let error = evaluated(&long, &long).unwrap_err();
        assert!(error.contains("at most") || error.contains("greater than 512"), "{error}");
    }
    assert!(evaluated(&"x".repeat(255), "y").is_ok());
    // What was taken makes a key.
    let key = prefixes.data_key(&parts("", &[("a", "x/y"), ("b", "z")]), &SeededEntropy::new(1));
    assert_eq!(key, format!("t/x/y/2026/z/s-2-2026-07-13-14-05-09-{UUID}"));
}

#[test]
fn partitions_are_one_only_when_their_keys_are() {
    let prefixes = partitioned("!{partitionKeyFromLambda:a}!{timestamp:yyyy}!{partitionKeyFromLambda:b}/");
    let partition = |a: &str, b: &str| prefixes.partition(&[("a", a), ("b", b)]).unwrap();
    assert_ne!(partition("x", "yyyyq"), partition("xyyyy", "q"));
    let random = partitioned("!{partitionKeyFromLambda:a}!{firehose:random-string}!{partitionKeyFromLambda:b}/");
    let partition = |a: &str, b: &str| random.partition(&[("a", a), ("b", b)]).unwrap();
    assert_ne!(partition("x", "random-stringq"), partition("xrandom-string", "q"));
    let slashes = partitioned("!{partitionKeyFromLambda:a}/!{partitionKeyFromLambda:b}/");
    let partition = |a: &str, b: &str| slashes.partition(&[("a", a), ("b", b)]).unwrap();
    assert_eq!(partition("x/y", "z"), partition("x", "y/z"));
}
