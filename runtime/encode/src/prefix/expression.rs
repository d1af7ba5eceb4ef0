//! `!{namespace:value}` expressions of a prefix: into parts, or the text of AWS's refusal.

use super::pattern::Pattern;

/// Which setting is parsed: the refusals name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Prefix,
    ErrorOutputPrefix,
}

impl Member {
    /// Its name on the wire.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Prefix => "Prefix",
            Self::ErrorOutputPrefix => "ErrorOutputPrefix",
        }
    }
}

/// A piece of a prefix.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    /// Text as it is.
    Literal(String),
    /// `!{timestamp:pattern}`.
    Time(Pattern),
    /// `!{firehose:random-string}`.
    Random,
    /// `!{firehose:error-output-type}`.
    ErrorType,
    /// `!{partitionKeyFromQuery:name}` and `!{partitionKeyFromLambda:name}`.
    Partition(String),
}

/// Takes `text` apart.
pub(super) fn parse(text: &str, member: Member) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((literal, behind)) = rest.split_once("!{") {
        let (expression, tail) = behind.split_once('}').ok_or("Invalid expression usage")?;
        let (namespace, value) = expression.split_once(':').ok_or("Invalid expression usage")?;
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        parts.push(part(namespace, value, member)?);
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    Ok(parts)
}

fn part(namespace: &str, value: &str, member: Member) -> Result<Part, String> {
    match (namespace, value, member) {
        ("timestamp", pattern, _) => time(pattern, member),
        ("firehose", "random-string", _) => Ok(Part::Random),
        ("firehose", "error-output-type", Member::ErrorOutputPrefix) => Ok(Part::ErrorType),
        ("firehose", "error-output-type", Member::Prefix) => {
            Err("Prefix must not contain any occurrence of !{firehose:error-output-type}".into())
        }
        ("partitionKeyFromQuery" | "partitionKeyFromLambda", _, Member::ErrorOutputPrefix) => {
            Err("Dynamic Partitioning Namespaces can't be part of an error prefix expression".into())
        }
        ("partitionKeyFromQuery" | "partitionKeyFromLambda", name, Member::Prefix) if !name.is_empty() => {
            Ok(Part::Partition(name.to_owned()))
        }
        ("firehose" | "partitionKeyFromQuery" | "partitionKeyFromLambda", ..) => Err(bad_value(member)),
        _ => Err(format!("Namespace to the left of colon ({namespace}) is an invalid keyword!")),
    }
}

/// A time of this pattern.
pub(super) fn time(pattern: &str, member: Member) -> Result<Part, String> {
    Pattern::parse(pattern).map(Part::Time).ok_or_else(|| bad_value(member))
}

fn bad_value(member: Member) -> String {
    format!("Invalid conversion character used in the value of the expression in {}", member.name())
}
