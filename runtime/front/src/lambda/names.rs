//! Names of functions in all their forms (bare, partial ARN, whole ARN, each with a qualifier), and
//! what they name here.

use millrace_catalog::Place;

use super::backend::{Qualifier, Target};
use super::patterns::is_word;
use crate::error::{ApiError, Code};
use crate::protocol::shape::quoting;

/// Letters of a function's own name.
const NAME_CHARS_MAX: usize = 64;

/// Whether a name may have dots: the model's `NamespacedFunctionName`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespaced {
    No,
    Yes,
}

/// A name, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) region: Option<&'a str>,
    pub(super) account: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) qualifier: Option<&'a str>,
}

/// `aws[a-zA-Z-]*` or nothing.
pub(super) fn is_partition(text: &str) -> bool {
    text.is_empty()
        || text.strip_prefix("aws").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'))
}

/// Twelve digits.
pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// `(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}`.
pub(super) fn is_region(text: &str) -> bool {
    let text = text.strip_prefix("eusc-").unwrap_or(text);
    let parts: Vec<&str> = text.split('-').collect();
    let small = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase());
    let middle = match parts.as_slice() {
        [_, middle, _] => *middle,
        [_, "gov", middle, _] => *middle,
        [_, iso, middle, _]
            if iso.strip_prefix("iso").is_some_and(|rest| rest.is_empty() || (rest.len() == 1 && small(rest))) =>
        {
            *middle
        }
        _ => return false,
    };
    let (first, last) = (parts.first().unwrap_or(&""), parts.last().unwrap_or(&""));
    first.len() == 2 && small(first) && small(middle) && last.len() == 1 && last.bytes().all(|b| b.is_ascii_digit())
}

/// Takes a name apart as the model's pattern does: each prefix that can stand is taken, unless what
/// is left is no name then.
pub(super) fn parse(text: &str, namespaced: Namespaced) -> Option<Parsed<'_>> {
    let parts: Vec<&str> = text.split(':').collect();
    // No form has more parts than `arn:aws:lambda:REGION:ACCOUNT:function:NAME:QUALIFIER`.
    if parts.len() > 8 {
        return None;
    }
    (0..16).rev().find_map(|taken: u8| parse_with(&parts, namespaced, taken))
}

/// With the prefixes of the bits of `taken`: ARN, region, account, `function`.
fn parse_with<'a>(parts: &[&'a str], namespaced: Namespaced, taken: u8) -> Option<Parsed<'a>> {
    let mut rest = parts;
    let (mut region, mut account) = (None, None);
    if taken & 8 != 0 {
        let ["arn", partition, "lambda", behind @ ..] = rest else { return None };
        rest = is_partition(partition).then_some(behind)?;
    }
    if taken & 4 != 0 {
        let (first, behind) = rest.split_first()?;
        region = is_region(first).then_some(Some(*first))?;
        rest = behind;
    }
    if taken & 2 != 0 {
        let (first, behind) = rest.split_first()?;
        account = is_account(first).then_some(Some(*first))?;
        rest = behind;
    }
    if taken & 1 != 0 {
        let ["function", behind @ ..] = rest else { return None };
        rest = behind;
    }
    let (name, qualifier) = match rest {
        [name] => (*name, None),
        [name, qualifier] => (*name, Some(*qualifier)),
        _ => return None,
    };
    let is_namespaced = namespaced == Namespaced::Yes;
    let good_name = !name.is_empty() && name.bytes().all(|b| is_word(b) || (is_namespaced && b == b'.'));
    let good_qualifier = qualifier.is_none_or(|text| {
        text == "$LATEST"
            || (is_namespaced && text == "$LATEST.PUBLISHED")
            || (!text.is_empty() && text.bytes().all(is_word))
    });
    (good_name && good_qualifier).then_some(Parsed { region, account, name, qualifier })
}

/// What a taggable resource's ARN names: a function, or another kind (`None` inside).
pub(super) fn resource(text: &str) -> Option<Option<Parsed<'_>>> {
    let parts: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "lambda", region, account, kind, rest @ ..] = parts.as_slice() else { return None };
    if partition.is_empty() || !is_partition(partition) || !is_region(region) || !is_account(account) {
        return None;
    }
    let id = match rest {
        [id] => *id,
        [id, _] if *kind == "function" => *id,
        _ => return None,
    };
    let words = !id.is_empty() && id.bytes().all(is_word);
    match *kind {
        "function" => parse(text, Namespaced::No).map(Some),
        "code-signing-config" => id
            .strip_prefix("csc-")
            .is_some_and(|id| id.len() == 17 && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
            .then_some(None),
        "event-source-mapping" => {
            let groups: Vec<usize> = id.split('-').map(str::len).collect();
            let hex = id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
            (hex && groups == [8, 4, 4, 4, 12]).then_some(None)
        }
        "capacity-provider" | "network-connector" => (words && id.len() <= 64).then_some(None),
        _ => None,
    }
}

/// The ARN of a function here.
pub(super) fn arn(place: &Place, name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:function:{name}", place.region, place.account_id)
}

/// The ARN of what is named of it.
pub(super) fn qualified_arn(place: &Place, name: &str, qualifier: &str) -> String {
    format!("{}:{qualifier}", arn(place, name))
}

/// The ARN of a target; that of `$LATEST` is unqualified.
pub(super) fn target_arn(place: &Place, target: &Target) -> String {
    match &target.qualifier {
        Qualifier::Latest => arn(place, &target.name),
        Qualifier::Version(number) => qualified_arn(place, &target.name, &number.to_string()),
        Qualifier::Alias(alias) => qualified_arn(place, &target.name, alias),
    }
}

/// `ResourceNotFoundException` for a function's ARN.
pub(super) fn not_found(arn: &str) -> ApiError {
    ApiError::slugged(Code::ResourceNotFound, "function.unknown", format!("Function not found: {arn}"))
}

/// What a checked name and the `Qualifier` beside it stand for, and whether anything was named.
///
/// # Errors
/// Another region or account, a name that is too long or cannot be here, two qualifiers that differ.
pub(super) fn target(place: &Place, text: &str, beside: Option<&str>) -> Result<(Target, bool), ApiError> {
    let parsed = parse(text, Namespaced::Yes).ok_or_else(|| not_found(text))?;
    let name = name(place, &parsed, text)?;
    if let (Some(own), Some(beside)) = (parsed.qualifier, beside)
        && own != beside
    {
        return Err(ApiError::invalid(
            "The derived qualifier from the function name does not match the specified qualifier.",
        ));
    }
    let Some(named) = parsed.qualifier.or(beside) else {
        return Ok((Target { name, qualifier: Qualifier::Latest }, false));
    };
    let unknown = || not_found(&qualified_arn(place, &name, named));
    let qualifier = if named == "$LATEST" {
        Qualifier::Latest
    } else if named.bytes().all(|b| b.is_ascii_digit()) {
        Qualifier::Version(number(named).ok_or_else(unknown)?)
    } else if named.bytes().all(is_word) {
        Qualifier::Alias(named.to_owned())
    } else {
        return Err(unknown());
    };
    Ok((Target { name, qualifier }, true))
}

/// The name of a whole function; `operation` takes no version or alias of it.
///
/// # Errors
/// As [`target`], or a qualifier that is not `$LATEST`.
pub(super) fn whole(place: &Place, text: &str, operation: &str) -> Result<String, ApiError> {
    let parsed = parse(text, Namespaced::Yes).ok_or_else(|| not_found(text))?;
    match parsed.qualifier {
        None | Some("$LATEST") => name(place, &parsed, text),
        Some(qualifier) => Err(ApiError::invalid(format!(
            "{operation} works on the whole function {}: leave the qualifier {qualifier} out of its name",
            parsed.name
        ))),
    }
}

/// A version's number: no zeros before it, so that one version has one text.
pub(super) fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number > 0 && !text.starts_with(['0', '+'])).then_some(number)
}

fn name(place: &Place, parsed: &Parsed<'_>, text: &str) -> Result<String, ApiError> {
    if parsed.name.len() > NAME_CHARS_MAX {
        let constraint = format!("Member must have length less than or equal to {NAME_CHARS_MAX}");
        return Err(ApiError::validation(&[quoting("functionName", &parsed.name.into(), &constraint)]));
    }
    if let Some(region) = parsed.region.filter(|region| *region != place.region) {
        return Err(ApiError::slugged(
            Code::ResourceNotFound,
            "function.unknown",
            format!("Functions from '{region}' are not reachable in this region ('{}')", place.region),
        ));
    }
    // Names with dots are those of another kind of namespace: none is here.
    if parsed.account.is_some_and(|account| account != place.account_id) || parsed.name.contains('.') {
        return Err(not_found(text));
    }
    Ok(parsed.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { region: "us-east-1".into(), account_id: "000000000000".into() }
    }

    #[test]
    fn every_form_names_the_same() {
        for (prefix, region, account) in [
            ("", None, None),
            ("function:", None, None),
            ("000000000000:", None, Some("000000000000")),
            ("000000000000:function:", None, Some("000000000000")),
            ("us-east-1:", Some("us-east-1"), None),
            ("arn:aws:lambda:us-east-1:000000000000:function:", Some("us-east-1"), Some("000000000000")),
            ("arn::lambda:us-east-1:000000000000:function:", Some("us-east-1"), Some("000000000000")),
        ] {
            for qualifier in [None, Some("$LATEST"), Some("7"), Some("live")] {
                let text = format!("{prefix}f{}", qualifier.map(|q| format!(":{q}")).unwrap_or_default());
                let wanted = Parsed { region, account, name: "f", qualifier };
                assert_eq!(parse(&text, Namespaced::No), Some(wanted), "{text}");
                let (target, named) = target(&place(), &text, qualifier).expect("here");
                assert_eq!((target.name.as_str(), named), ("f", qualifier.is_some()));
            }
        }
        // A prefix that leaves no name is a name itself.
        let wanted = Parsed { region: None, account: None, name: "us-east-1", qualifier: Some("$LATEST") };
        assert_eq!(parse("us-east-1:$LATEST", Namespaced::No), Some(wanted));
        assert_eq!(parse("function", Namespaced::No).map(|parsed| parsed.name), Some("function"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["", "a b", "a:", ":a", "a:b:c", "a.b", "f:$LATEST.PUBLISHED", "arn:aws:lambda:f:g:h:i:j:k", "ä", "f:$X"]
        {
            assert!(parse(text, Namespaced::No).is_none(), "{text}");
        }
        assert!(parse("a.b:$LATEST.PUBLISHED", Namespaced::Yes).is_some());
        let message = |text: &str, beside| target(&place(), text, beside).expect_err(text).message;
        assert_eq!(
            message("us-west-2:000000000000:function:f", None),
            "Functions from 'us-west-2' are not reachable in this region ('us-east-1')"
        );
        assert_eq!(
            message("f:$LATEST.PUBLISHED", None),
            "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST.PUBLISHED"
        );
        for missing in ["0", "01", "4294967296"] {
            assert!(message("f", Some(missing)).starts_with("Function not found: "), "{missing}");
        }
        assert!(message("f:1", Some("2")).starts_with("The derived qualifier from the function name"));
        assert!(message("111122223333:f", None).starts_with("Function not found: "));
        assert!(message(&"x".repeat(65), None).ends_with(
            "at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64"
        ));
        assert!(whole(&place(), "f:1", "PublishVersion").expect_err("qualified").message.contains("PublishVersion"));
    }

    #[test]
    fn regions_and_resources() {
        for region in ["us-east-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"] {
            assert!(is_region(region), "{region}");
        }
        for region in ["", "us-east", "us-east-12", "US-east-1", "us-isoab-east-1", "useast-1", "u-east-1"] {
            assert!(!is_region(region), "{region}");
        }
        let prefix = "arn:aws:lambda:us-east-1:000000000000:";
        let named = |rest: &str| {
            resource(&format!("{prefix}{rest}"))
                .map(|parsed| parsed.map(|parsed| (parsed.name.to_owned(), parsed.qualifier.map(str::to_owned))))
        };
        assert_eq!(named("function:f"), Some(Some(("f".into(), None))));
        assert_eq!(named("function:f:1"), Some(Some(("f".into(), Some("1".into())))));
        assert_eq!(named("event-source-mapping:01234567-89ab-cdef-0123-456789abcdef"), Some(None));
        for wrong in ["f", "function", "function:", "function:f:1:2", "layer:x", "code-signing-config:csc-1"] {
            assert!(named(wrong).is_none(), "{wrong}");
        }
    }
}
