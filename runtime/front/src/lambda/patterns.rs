//! The patterns of Lambda's service model: their text as the errors show it, and what they match.

use crate::lambda::names::{self, Namespaced};
use crate::protocol::patterns::{ONE_LINE, Pattern};

/// `FunctionName`.
pub(super) static FUNCTION_NAME: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?",
    holds: |text| names::parse(text, Namespaced::No).is_some(),
};
/// `NamespacedFunctionName`.
pub(super) static NAMESPACED_FUNCTION_NAME: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
    holds: |text| names::parse(text, Namespaced::Yes).is_some(),
};
/// `NumericLatestPublishedOrAliasQualifier`.
pub(super) static QUALIFIER: Pattern = Pattern {
    text: r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
    holds: |text| matches!(text, "$LATEST" | "$LATEST.PUBLISHED") || some_of(text, |b| is_word(b) || b == b'$'),
};
/// `VersionWithLatestPublished`.
pub(super) static VERSION: Pattern = Pattern {
    text: r"(\$LATEST(\.PUBLISHED)?|[0-9]+)",
    holds: |text| matches!(text, "$LATEST" | "$LATEST.PUBLISHED") || some_of(text, |b| b.is_ascii_digit()),
};
/// `AdditionalVersion`.
pub(super) static ADDITIONAL_VERSION: Pattern =
    Pattern { text: "[0-9]+", holds: |text| some_of(text, |b| b.is_ascii_digit()) };
/// `Alias`.
pub(super) static ALIAS: Pattern = Pattern {
    text: "(?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    holds: |text| some_of(text, is_word) && !text.bytes().all(|b| b.is_ascii_digit()),
};
/// `RoleArn`.
pub(super) static ROLE: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    holds: |text| {
        let mut parts = text.splitn(6, ':');
        let fixed = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
        let [Some("arn"), Some(partition), Some("iam"), Some(""), Some(account)] = fixed else { return false };
        let name = parts.next().and_then(|role| role.strip_prefix("role"));
        names::is_partition(partition)
            && names::is_account(account)
            && name.is_some_and(|name| name != "/" && some_of(name, |b| is_word(b) || b"+=,.@/".contains(&b)))
    },
};
/// `Handler`.
pub(super) static HANDLER: Pattern = Pattern {
    text: r"[^\s]+",
    holds: |text| !text.is_empty() && !text.contains([' ', '\t', '\n', '\x0b', '\x0c', '\r']),
};
/// `S3Bucket`.
pub(super) static BUCKET: Pattern = Pattern {
    text: r"[0-9A-Za-z\.\-_]*(?<!\.)",
    holds: |text| text.bytes().all(|b| is_word(b) || b == b'.') && !text.ends_with('.'),
};
/// `EnvironmentVariableName`.
pub(super) static VARIABLE: Pattern = Pattern {
    text: "[a-zA-Z]([a-zA-Z0-9_])+",
    holds: |text| {
        text.len() > 1
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && some_of(text, |b| b.is_ascii_alphanumeric() || b == b'_')
    },
};
/// `TagKey` and `TagValue`.
pub(super) static TAG: Pattern = Pattern {
    text: r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)",
    holds: |text| {
        text.chars().all(|c| {
            c.is_alphabetic() || c.is_numeric() || (c.is_whitespace() && !c.is_control()) || "_.:/=+-@".contains(c)
        })
    },
};
/// `TaggableResource`: of its kinds only functions can be here, so another is well-formed and not found.
pub(super) static RESOURCE: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|(capacity-provider|network-connector):[a-zA-Z0-9-_]{1,64})",
    holds: |text| names::resource(text).is_some(),
};
/// `LogGroup`.
pub(super) static LOG_GROUP: Pattern =
    Pattern { text: r"[\.\-_/#A-Za-z0-9]+", holds: |text| some_of(text, |b| is_word(b) || b"./#".contains(&b)) };
/// `DestinationArn`.
pub(super) static DESTINATION: Pattern = Pattern {
    text: r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    holds: |text| text.is_empty() || is_kafka(text) || is_destination_arn(text),
};

fn is_kafka(text: &str) -> bool {
    let Some(topic) = text.strip_prefix("kafka://") else { return false };
    let mut chars = topic.chars();
    let first = chars.next().is_some_and(|c| c != '.');
    let rest = chars.as_str();
    first && rest.len() <= 248 && rest.bytes().all(|b| is_word(b) || b == b'.')
}

fn is_destination_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let fixed = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
    let [Some("arn"), Some(partition), Some(service), Some(region), Some(account)] = fixed else { return false };
    let is_dashed = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    partition.strip_prefix("aws").is_some_and(is_dashed)
        && !service.is_empty()
        && is_dashed(service)
        && (region.is_empty() || names::is_region(region))
        && (account.is_empty() || names::is_account(account))
        && parts.next().is_some_and(|rest| (ONE_LINE.holds)(rest))
}

fn some_of(text: &str, good: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(good)
}

/// `[a-zA-Z0-9-_]`.
pub(super) fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}
