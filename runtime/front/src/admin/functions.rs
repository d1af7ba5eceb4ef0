//! `/v1/functions`: deploy, list, invoke.

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use super::{Admin, DeployOptions};
use crate::error::{ApiError, Code};
use crate::ingest;
use crate::percent::percent_decoded;

/// Letters of a function's name.
const NAME_CHARS_MAX: usize = 64;
/// Settings of one function.
const SETTINGS_MAX: usize = 64;

/// `PUT /v1/functions/{name}`: the body is the module.
pub(crate) async fn deploy(admin: &dyn Admin, name: &str, parts: &Parts, module: Vec<u8>) -> Result<Value, ApiError> {
    check_name(name)?;
    let options = options(parts)?;
    let version = admin.deploy(name, Bytes::from(module), options).await?;
    to_json(&*version)
}

/// `GET /v1/functions`.
pub(crate) fn list(admin: &dyn Admin) -> Result<Value, ApiError> {
    let functions = admin.functions().iter().map(|f| to_json(&**f)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "functions": functions }))
}

/// `POST /v1/functions/{name}/invoke[?version=N]`: the body is NDJSON.
pub(crate) async fn invoke(
    admin: &dyn Admin,
    name: &str,
    query: Option<&str>,
    input: &[u8],
    now_ms: i64,
) -> Result<Value, ApiError> {
    check_name(name)?;
    let mut version = None;
    for (key, value) in pairs(query) {
        match key {
            "version" if version.is_some() => return Err(twice("query parameter", key)),
            "version" => version = Some(number(key, value)?),
            other => return Err(ApiError::invalid(format!("unknown query parameter {other}: there is only version"))),
        }
    }
    let batch = ingest::lines(input, now_ms)?;
    Ok(admin.invoke(name, version, batch).await?)
}

/// Settings come as headers `x-millrace-setting-NAME` (names lower-cased by HTTP) or, with their
/// case kept, as query parameters `setting.NAME`; limits as headers or query parameters.
pub(crate) fn options(parts: &Parts) -> Result<DeployOptions, ApiError> {
    let mut options = DeployOptions::default();
    for (name, value) in from_headers(&parts.headers)? {
        set(&mut options, name, value)?;
    }
    for (name, value) in pairs(parts.uri.query()) {
        set(&mut options, name.strip_prefix("x-millrace-").unwrap_or(name), &percent_decoded(value)?)?;
    }
    Ok(options)
}

fn from_headers(headers: &HeaderMap) -> Result<Vec<(&str, &str)>, ApiError> {
    let mut found = Vec::new();
    for (name, value) in headers {
        if let Some(option) = name.as_str().strip_prefix("x-millrace-") {
            let value = value.to_str().map_err(|_| ApiError::invalid(format!("the header {name} is not text")))?;
            found.push((option, value));
        }
    }
    Ok(found)
}

fn set(options: &mut DeployOptions, name: &str, value: &str) -> Result<(), ApiError> {
    if let Some(setting) = name.strip_prefix("setting-").or_else(|| name.strip_prefix("setting.")) {
        let setting = percent_decoded(setting)?;
        if setting.is_empty() {
            return Err(ApiError::invalid("a setting without a name: it is given as setting.NAME=VALUE"));
        }
        if options.settings.contains_key(&setting) {
            return Err(twice("setting", &setting));
        }
        options.settings.insert(setting, value.to_owned());
        if options.settings.len() > SETTINGS_MAX {
            return Err(ApiError::invalid(format!("a function takes at most {SETTINGS_MAX} settings")));
        }
        return Ok(());
    }
    match name {
        "memory-bytes" if options.memory_bytes.is_some() => return Err(twice("deploy option", name)),
        "deadline-ms" if options.deadline_ms.is_some() => return Err(twice("deploy option", name)),
        "warm" if options.warm.is_some() => return Err(twice("deploy option", name)),
        "memory-bytes" => options.memory_bytes = Some(number(name, value)?),
        "deadline-ms" => options.deadline_ms = Some(number(name, value)?),
        "warm" => {
            options.warm = Some(match value {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return Err(ApiError::invalid("warm is true or false")),
            });
        }
        other => {
            return Err(ApiError::invalid(format!(
                "unknown deploy option {other}: there are setting.NAME, memory-bytes, deadline-ms and warm"
            )));
        }
    }
    Ok(())
}

/// Of two, one would be dropped unseen.
fn twice(what: &str, name: &str) -> ApiError {
    ApiError::new(Code::Serialization, format!("the {what} {name:.80} is given more than once"))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, ApiError> {
    value.parse().map_err(|_| ApiError::invalid(format!("{name} is not a number in range: {value:.40}")))
}

/// The `key=value` pairs of a raw query; values are still percent-encoded.
fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let good = (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good {
        return Ok(());
    }
    Err(ApiError::slugged(
        Code::InvalidArgument,
        "function.name",
        format!("a function's name is 1 to {NAME_CHARS_MAX} of a-z, A-Z, 0-9, _ and -"),
    ))
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(value).map_err(|error| ApiError::new(Code::Internal, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn options_come_from_headers_and_query() {
        let found = options(&parts(
            "/v1/functions/f?setting.Mode=a%20b&deadline-ms=9",
            &[("x-millrace-setting-level", "debug"), ("x-millrace-memory-bytes", "1024"), ("x-millrace-warm", "true")],
        ))
        .expect("options");
        assert_eq!(found.settings["Mode"], "a b");
        assert_eq!(found.settings["level"], "debug");
        assert_eq!((found.memory_bytes, found.deadline_ms, found.warm), (Some(1024), Some(9), Some(true)));
    }

    #[test]
    fn what_is_given_twice_is_refused_by_name() {
        let level = ("x-millrace-setting-level", "a");
        for (uri, headers, named) in [
            ("/x?setting.a=1&setting.a=1", vec![], "the setting a "),
            ("/x?setting.a=1&setting.%61=2", vec![], "the setting a "),
            ("/x?setting.level=1", vec![level], "the setting level "),
            ("/x", vec![level, level], "the setting level "),
            ("/x?memory-bytes=1&memory-bytes=1", vec![], "the deploy option memory-bytes "),
            ("/x?warm=true", vec![("x-millrace-warm", "true")], "the deploy option warm "),
            ("/x?deadline-ms=1&x-millrace-deadline-ms=2", vec![], "the deploy option deadline-ms "),
        ] {
            let error = options(&parts(uri, &headers)).expect_err(uri);
            assert_eq!(error.slug, "request.malformed");
            assert!(error.message.contains(named) && error.message.ends_with("is given more than once"), "{error}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        for (uri, header) in [
            ("/x?fuel=1", None),
            ("/x", Some(("x-millrace-fuel", "1"))),
            ("/x?deadline-ms=-1", None),
            ("/x?warm=perhaps", None),
            ("/x?setting.a=%4", None),
            ("/x?setting.=1", None),
            ("/x", Some(("x-millrace-setting-", "1"))),
        ] {
            let headers: Vec<_> = header.into_iter().collect();
            assert!(options(&parts(uri, &headers)).is_err(), "{uri}");
        }
        for name in ["", "a.b", "ä", &"x".repeat(65), "../x"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
