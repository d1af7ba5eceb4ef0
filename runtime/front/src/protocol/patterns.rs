//! The patterns of the service model: their text as the errors show it, and a function that holds
//! for the strings they match (`reference/firehose.md` section 2).

/// A pattern of the service model.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// As the service prints it.
    pub(crate) text: &'static str,
    /// Whether the whole string matches.
    pub(crate) holds: fn(&str) -> bool,
}

/// Names of delivery streams.
pub(crate) static STREAM_NAME: Pattern = Pattern {
    text: "[a-zA-Z0-9_.-]+",
    holds: |text| some_of(text, |b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)),
};
/// Ids of destinations.
pub(crate) static DESTINATION_ID: Pattern =
    Pattern { text: "[a-zA-Z0-9-]+", holds: |text| some_of(text, |b| b.is_ascii_alphanumeric() || b == b'-') };
/// ARNs of roles.
pub(crate) static ROLE_ARN: Pattern = Pattern {
    text: r"arn:.*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+",
    holds: |text| {
        arn(text, ":iam::", |rest| {
            let Some((account, name)) = rest.split_once(":role/") else { return false };
            is_account(account) && some_of(name, is_arn_name)
        })
    },
};
/// ARNs of buckets.
pub(crate) static BUCKET_ARN: Pattern = Pattern {
    text: r"arn:.*:s3:::[\w\.\-]{1,255}",
    holds: |text| {
        arn(text, ":s3:::", |name| {
            name.len() <= 255 && some_of(name, |b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        })
    },
};
/// ARNs of KMS keys and aliases.
pub(crate) static KMS_ARN: Pattern = Pattern {
    text: r"arn:.*:kms:[a-zA-Z0-9\-]+:\d{12}:(key|alias)/[a-zA-Z_0-9+=,.@\-_/]+",
    holds: |text| {
        arn(text, ":kms:", |rest| {
            let mut parts = rest.splitn(3, ':');
            let (Some(region), Some(account), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
                return false;
            };
            let name = key.strip_prefix("key/").or_else(|| key.strip_prefix("alias/"));
            some_of(region, |b| b.is_ascii_alphanumeric() || b == b'-')
                && is_account(account)
                && name.is_some_and(|name| some_of(name, is_arn_name))
        })
    },
};
/// Names of log groups.
pub(crate) static LOG_GROUP: Pattern = Pattern {
    text: r"[\.\-_/#A-Za-z0-9]*",
    holds: |text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/#".contains(&b)),
};
/// Names of log streams.
pub(crate) static LOG_STREAM: Pattern = Pattern { text: "[^:*]*", holds: |text| !text.contains([':', '*']) };
/// Prefixes: anything on one line.
pub(crate) static ONE_LINE: Pattern =
    Pattern { text: ".*", holds: |text| !text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) };
/// File extensions.
pub(crate) static FILE_EXTENSION: Pattern = Pattern {
    text: r"^$|\.[0-9a-z!\-_.*'()]+",
    holds: |text| {
        text.is_empty()
            || text.strip_prefix('.').is_some_and(|rest| {
                some_of(rest, |b| b.is_ascii_digit() || b.is_ascii_lowercase() || b"!-_.*'()".contains(&b))
            })
    },
};
/// Custom time zones.
pub(crate) static TIME_ZONE: Pattern = Pattern {
    text: "^$|[a-zA-Z/_]+",
    holds: |text| text.is_empty() || some_of(text, |b| b.is_ascii_alphabetic() || b == b'/' || b == b'_'),
};
/// Strings that are not blank.
pub(crate) static NOT_BLANK: Pattern =
    Pattern { text: r"^(?!\s*$).+", holds: |text| !text.bytes().all(is_space) && (ONE_LINE.holds)(text) };
/// Strings without white space.
pub(crate) static NO_SPACE: Pattern =
    Pattern { text: r"^\S+$", holds: |text| !text.is_empty() && !text.bytes().any(is_space) };
/// Keys of tags.
pub(crate) static TAG_KEY: Pattern = Pattern {
    text: r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$",
    holds: |text| !text.starts_with("aws:") && text.chars().all(is_tag_char),
};
/// Values of tags.
pub(crate) static TAG_VALUE: Pattern =
    Pattern { text: r"^[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$", holds: |text| text.chars().all(is_tag_char) };

fn some_of(text: &str, good: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(good)
}

/// `arn:.*<service>` and then what `rest` takes; `.*` may hold the service's text itself.
fn arn(text: &str, service: &str, rest: impl Fn(&str) -> bool) -> bool {
    let Some(text) = text.strip_prefix("arn:").filter(|text| (ONE_LINE.holds)(text)) else { return false };
    text.match_indices(service).any(|(at, _)| text.get(at + service.len()..).is_some_and(&rest))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_arn_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b)
}

/// `\s` of Java's patterns.
fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn is_tag_char(c: char) -> bool {
    c.is_alphabetic() || c.is_numeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@%".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_and_refuse() {
        let table: &[(&Pattern, &[&str], &[&str])] = &[
            (&STREAM_NAME, &["a", "A.b-c_9"], &["", "a b", "ä", "a/b"]),
            (
                &ROLE_ARN,
                &["arn:aws:iam::123456789012:role/r", "arn:x:iam:::iam::123456789012:role/a/b@c"],
                &[
                    "arn:aws:iam::12345:role/r",
                    "arn:aws:iam::123456789012:role/",
                    "role/r",
                    "arn:aws:iam::123456789012:user/r",
                ],
            ),
            (
                &BUCKET_ARN,
                &["arn:aws:s3:::b", "arn:aws-cn:s3:::b.c-d_e"],
                &["b", "arn:aws:s3:::", "arn:aws:s3:::a/b", "arn:s3:::b"],
            ),
            (
                &KMS_ARN,
                &["arn:aws:kms:us-east-1:000000000000:key/orders", "arn:aws:kms:x:000000000000:alias/a"],
                &["arn:aws:kms:us-east-1:000000000000:orders", "arn:aws:kms::000000000000:key/a"],
            ),
            (&FILE_EXTENSION, &["", ".gz", ".json.gz", "...x"], &["gz", ".", ".GZ", ".a b"]),
            (&TIME_ZONE, &["", "UTC", "Asia/Tokyo"], &["Etc/GMT-3", "Asia/ "]),
            (&NOT_BLANK, &["a", " a "], &["", "  ", "a\nb", "\n"]),
            (&NO_SPACE, &["a"], &["", "a b", "a\t"]),
            (&TAG_KEY, &["a", "ä b", "awsx"], &["aws:x", "a\n", "a*"]),
            (&ONE_LINE, &["", "a b"], &["a\nb"]),
        ];
        for (pattern, good, bad) in table {
            for text in *good {
                assert!((pattern.holds)(text), "{} {text}", pattern.text);
            }
            for text in *bad {
                assert!(!(pattern.holds)(text), "{} {text}", pattern.text);
            }
        }
    }
}
