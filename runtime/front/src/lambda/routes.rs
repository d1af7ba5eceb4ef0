//! Every operation of Lambda's service model by method and path: those that are here, and those that
//! are refused by their names.

use http::Method;

use super::Operation;
use super::missing::{MISSING, Missing};
use crate::error::{ApiError, Code};
use crate::percent::percent_decoded;

/// Segments of the longest path.
const SEGMENTS_MAX: usize = 8;

/// Method and path of the operations that are here; `{NAME}` is a member.
const PATHS: [(&str, &str, Operation); 28] = [
    ("POST", "2015-03-31/functions", Operation::CreateFunction),
    ("GET", "2015-03-31/functions", Operation::ListFunctions),
    ("GET", "2015-03-31/functions/{FunctionName}", Operation::GetFunction),
    ("DELETE", "2015-03-31/functions/{FunctionName}", Operation::DeleteFunction),
    ("GET", "2015-03-31/functions/{FunctionName}/configuration", Operation::GetFunctionConfiguration),
    ("PUT", "2015-03-31/functions/{FunctionName}/configuration", Operation::UpdateFunctionConfiguration),
    ("PUT", "2015-03-31/functions/{FunctionName}/code", Operation::UpdateFunctionCode),
    ("POST", "2015-03-31/functions/{FunctionName}/versions", Operation::PublishVersion),
    ("GET", "2015-03-31/functions/{FunctionName}/versions", Operation::ListVersionsByFunction),
    ("POST", "2015-03-31/functions/{FunctionName}/aliases", Operation::CreateAlias),
    ("GET", "2015-03-31/functions/{FunctionName}/aliases", Operation::ListAliases),
    ("GET", "2015-03-31/functions/{FunctionName}/aliases/{Name}", Operation::GetAlias),
    ("PUT", "2015-03-31/functions/{FunctionName}/aliases/{Name}", Operation::UpdateAlias),
    ("DELETE", "2015-03-31/functions/{FunctionName}/aliases/{Name}", Operation::DeleteAlias),
    ("POST", "2015-03-31/functions/{FunctionName}/invocations", Operation::Invoke),
    ("PUT", "2019-09-25/functions/{FunctionName}/event-invoke-config", Operation::PutFunctionEventInvokeConfig),
    ("GET", "2019-09-25/functions/{FunctionName}/event-invoke-config", Operation::GetFunctionEventInvokeConfig),
    ("POST", "2019-09-25/functions/{FunctionName}/event-invoke-config", Operation::UpdateFunctionEventInvokeConfig),
    ("DELETE", "2019-09-25/functions/{FunctionName}/event-invoke-config", Operation::DeleteFunctionEventInvokeConfig),
    ("GET", "2019-09-25/functions/{FunctionName}/event-invoke-config/list", Operation::ListFunctionEventInvokeConfigs),
    ("PUT", "2017-10-31/functions/{FunctionName}/concurrency", Operation::PutFunctionConcurrency),
    ("GET", "2019-09-30/functions/{FunctionName}/concurrency", Operation::GetFunctionConcurrency),
    ("DELETE", "2017-10-31/functions/{FunctionName}/concurrency", Operation::DeleteFunctionConcurrency),
    ("GET", "2020-06-30/functions/{FunctionName}/code-signing-config", Operation::GetFunctionCodeSigningConfig),
    ("POST", "2017-03-31/tags/{Resource}", Operation::TagResource),
    ("DELETE", "2017-03-31/tags/{Resource}", Operation::UntagResource),
    ("GET", "2017-03-31/tags/{Resource}", Operation::ListTags),
    ("GET", "2016-08-19/account-settings", Operation::GetAccountSettings),
];

/// All of them, for tests over the whole API.
#[cfg(test)]
pub(crate) fn all() -> &'static [(&'static str, &'static str, Operation)] {
    const ALL: &[(&str, &str, Operation)] = &PATHS;
    ALL
}

/// What a request's path names.
#[derive(Debug)]
pub(super) enum Found {
    /// An operation, and the members of its path, decoded.
    Here(Operation, Vec<(&'static str, String)>),
    /// One of the service that is not here.
    Missing(&'static Missing),
}

/// Whether a path is one of this API: it begins with a date.
pub(crate) fn is_lambda(first_segment: &str) -> bool {
    let bytes = first_segment.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, b)| if at == 4 || at == 7 { *b == b'-' } else { b.is_ascii_digit() })
}

/// Finds the operation. A slash at the end is left out: older SDKs list functions with one.
///
/// # Errors
/// `UnknownOperation`, or a path that is not percent-encoded UTF-8.
pub(super) fn find(method: &Method, path: &str, query: Option<&str>) -> Result<Found, ApiError> {
    let whole = path.strip_prefix('/').unwrap_or(path);
    let whole = whole.strip_suffix('/').unwrap_or(whole);
    let segments: Vec<&str> = whole.split('/').take(SEGMENTS_MAX + 1).collect();
    for (wanted, template, operation) in PATHS {
        if wanted == method.as_str()
            && let Some(labels) = matched(template, &segments)
        {
            let decode = |(name, text): (&'static str, &str)| Ok((name, percent_decoded(text)?));
            return Ok(Found::Here(operation, labels.into_iter().map(decode).collect::<Result<_, ApiError>>()?));
        }
    }
    // Of two with one path, the one that a literal of the query names stands first.
    let has = |literal: &str| query.is_some_and(|query| query.split('&').any(|pair| pair == literal));
    let missing = MISSING.iter().find(|missing| {
        let (template, literal) = missing.path.split_once('?').map_or((missing.path, None), |(a, b)| (a, Some(b)));
        missing.method == method.as_str() && literal.is_none_or(has) && matched(template, &segments).is_some()
    });
    missing.map(Found::Missing).ok_or_else(|| {
        let path: String = path.chars().take(100).collect();
        ApiError::new(Code::UnknownOperation, format!("Lambda has no operation {method:.20} {path}"))
    })
}

/// The members in the path, when it is that of the template.
fn matched<'a>(template: &'static str, segments: &[&'a str]) -> Option<Vec<(&'static str, &'a str)>> {
    let mut labels = Vec::new();
    let mut rest = segments.iter();
    for wanted in template.split('/') {
        let segment = rest.next()?;
        match wanted.strip_prefix('{').and_then(|wanted| wanted.strip_suffix('}')) {
            Some(_) if segment.is_empty() => return None,
            Some(label) => labels.push((label, *segment)),
            None if wanted == *segment => {}
            None => return None,
        }
    }
    rest.next().is_none().then_some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(name: &str) -> Method {
        name.parse().expect("a method")
    }

    #[test]
    fn every_operation_of_the_model_has_one_route() {
        assert_eq!(PATHS.len() + MISSING.len(), 91);
        for (name, template, operation) in PATHS {
            let path = format!("/{}", template.replace("{FunctionName}", "f%3A1").replace("{Name}", "a"));
            let Ok(Found::Here(found, labels)) = find(&method(name), &path, None) else { panic!("{path}") };
            assert_eq!(found, operation);
            if template.contains("{FunctionName}") {
                assert_eq!(labels.first(), Some(&("FunctionName", "f:1".to_owned())));
            }
        }
        for missing in &MISSING {
            let (path, query) = missing.path.split_once('?').map_or((missing.path, None), |(a, b)| (a, Some(b)));
            let Ok(Found::Missing(found)) = find(&method(missing.method), &format!("/{path}"), query) else {
                panic!("{path}")
            };
            assert_eq!(found.name, missing.name);
        }
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for (name, path) in [
            ("GET", "/2015-03-31"),
            ("PATCH", "/2015-03-31/functions"),
            ("GET", "/2015-03-31/functions/f/versions/1"),
            ("POST", "/2015-03-31/functions//invocations"),
            ("GET", "/2015-03-31/functions/a/b/c/d/e/f/g/h"),
        ] {
            assert_eq!(find(&method(name), path, None).expect_err(path).code, Code::UnknownOperation);
        }
        assert!(find(&Method::GET, "/2015-03-31/functions/%zz", None).is_err());
        assert!(matches!(
            find(&Method::GET, "/2015-03-31/functions/", None),
            Ok(Found::Here(Operation::ListFunctions, _))
        ));
        for (first, wanted) in [("2015-03-31", true), ("v1", false), ("2015_03_31", false), ("20150331xx", false)] {
            assert_eq!(is_lambda(first), wanted, "{first}");
        }
    }
}
