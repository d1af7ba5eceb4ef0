//! `/v1/functions`: deploy, list, invoke, logs, promote, roll back, shadow.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use super::{Admin, DeployOptions, ShadowOptions};
use crate::error::{ApiError, Code};
use crate::ingest;
use crate::lambda::check_settings;
use crate::percent::percent_decoded;
use crate::route::Route;

/// Letters of a function's name.
const NAME_CHARS_MAX: usize = 64;
/// Letters of an alias.
const ALIAS_CHARS_MAX: usize = 128;
/// Hosts that one function is granted.
const HTTP_HOSTS_MAX: usize = 64;
/// The alias that is meant when none is named.
const ALIAS: &str = "live";
/// The longest wait for a log line, milliseconds.
const LOG_WAIT_MS_MAX: u64 = 30_000;

/// `PUT /v1/functions/{name}`: the body is the module.
pub(crate) async fn deploy(admin: &dyn Admin, name: &str, parts: &Parts, module: Vec<u8>) -> Result<Value, ApiError> {
    check_name(name)?;
    let options = options(parts)?;
    Ok(admin.deploy(name, Bytes::from(module), options).await?)
}

/// `GET /v1/functions`.
pub(crate) fn list(admin: &dyn Admin) -> Value {
    json!({ "functions": admin.functions() })
}

/// The other routes of one function.
pub(crate) async fn answer(admin: &dyn Admin, route: Route<'_>, query: Option<&str>) -> Result<Value, ApiError> {
    let name = match route {
        Route::Function(name)
        | Route::Logs(name)
        | Route::Promote(name)
        | Route::RollBack(name)
        | Route::Shadow(name)
        | Route::SetShadow(name)
        | Route::EndShadow(name) => name,
        _ => return Err(ApiError::new(Code::Internal, "a route of no function")),
    };
    check_name(name)?;
    match route {
        Route::Logs(_) => {
            let [after, wait] = parameters(query, ["after", "wait-ms"])?;
            let after = after.map_or(Ok(0), |text| number("after", &text))?;
            let wait_ms = wait.map_or(Ok(0), |text| number("wait-ms", &text))?.min(LOG_WAIT_MS_MAX);
            Ok(admin.logs(name, after, Duration::from_millis(wait_ms)).await?)
        }
        Route::Promote(_) => {
            let [alias] = parameters(query, ["alias"])?;
            Ok(admin.promote(name, alias.as_deref().unwrap_or(ALIAS)).await?)
        }
        Route::RollBack(_) => {
            let [alias, to] = parameters(query, ["alias", "to"])?;
            let to = to.map(|text| number("to", &text)).transpose()?;
            Ok(admin.roll_back(name, alias.as_deref().unwrap_or(ALIAS), to).await?)
        }
        Route::SetShadow(_) => {
            let [version, share] = parameters(query, ["version", "share"])?;
            let version = version.map(|text| number("version", &text)).transpose()?;
            let share = percent("share", share.as_deref().unwrap_or("100"))?;
            Ok(admin.set_shadow(name, Some(ShadowOptions { version, share })).await?)
        }
        Route::EndShadow(_) => {
            let [] = parameters(query, [])?;
            Ok(admin.set_shadow(name, None).await?)
        }
        Route::Shadow(_) => {
            let [] = parameters(query, [])?;
            Ok(admin.shadow(name)?)
        }
        _ => {
            let [settings] = parameters(query, ["settings"])?;
            let settings = settings.map_or(Ok(false), |text| boolean("settings", &text))?;
            Ok(admin.function(name, settings)?)
        }
    }
}

/// The parameters of a query by name; one that is not known, or is given twice, is refused.
fn parameters<const N: usize>(query: Option<&str>, names: [&str; N]) -> Result<[Option<String>; N], ApiError> {
    let mut found = [const { None }; N];
    for (key, value) in pairs(query) {
        let Some(at) = names.iter().position(|name| *name == key) else {
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(ApiError::invalid(format!("unknown query parameter {key:.80}: there is {there}")));
        };
        if found[at].replace(percent_decoded(value)?).is_some() {
            return Err(twice("query parameter", key));
        }
    }
    Ok(found)
}

/// A share that is given in percent.
fn percent(name: &str, text: &str) -> Result<f64, ApiError> {
    let value: f64 = number(name, text)?;
    if (0.0..=100.0).contains(&value) {
        return Ok(value / 100.0);
    }
    Err(ApiError::invalid(format!("{name} is from 0 to 100 percent, not {text:.40}")))
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
    let [version] = parameters(query, ["version"])?;
    let batch = ingest::lines(input, now_ms)?;
    Ok(admin.invoke(name, version.as_deref(), batch).await?)
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
    check_settings(&options.settings)?;
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
        return Ok(());
    }
    match name {
        "memory-bytes" if options.memory_bytes.is_some() => return Err(twice("deploy option", name)),
        "deadline-ms" if options.deadline_ms.is_some() => return Err(twice("deploy option", name)),
        "warm" if options.warm.is_some() => return Err(twice("deploy option", name)),
        "alias" if options.alias.is_some() => return Err(twice("deploy option", name)),
        "weight" if options.weight.is_some() => return Err(twice("deploy option", name)),
        "alias" => {
            check_alias(value)?;
            options.alias = Some(value.to_owned());
        }
        "weight" => options.weight = Some(percent(name, value)?),
        "grant.http" if options.http_hosts.len() >= HTTP_HOSTS_MAX => {
            return Err(ApiError::invalid(format!("a function is granted at most {HTTP_HOSTS_MAX} hosts")));
        }
        "grant.http" => options.http_hosts.push(value.to_owned()),
        "grant.key-value" => options.key_value = boolean(name, value)?,
        "memory-bytes" => options.memory_bytes = Some(number(name, value)?),
        "deadline-ms" => options.deadline_ms = Some(number(name, value)?),
        "warm" => options.warm = Some(boolean(name, value)?),
        other => {
            return Err(ApiError::invalid(format!(
                "unknown deploy option {other:.80}: there are setting.NAME, memory-bytes, deadline-ms, warm, alias, weight, \
                 grant.http and grant.key-value"
            )));
        }
    }
    Ok(())
}

fn boolean(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(ApiError::invalid(format!("{name} is true or false"))),
    }
}

fn check_alias(alias: &str) -> Result<(), ApiError> {
    let good = (1..=ALIAS_CHARS_MAX).contains(&alias.len())
        && alias.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        && !alias.bytes().all(|b| b.is_ascii_digit());
    if good {
        return Ok(());
    }
    let text = format!("an alias is 1 to {ALIAS_CHARS_MAX} of a-z, A-Z, 0-9, _ and -, and not a number");
    Err(ApiError::slugged(Code::InvalidArgument, "function.alias", text))
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
        let shown = format!("{found:?}");
        assert!(shown.contains("Mode") && !shown.contains("a b") && !shown.contains("debug"), "{shown}");
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
            ("/x?setting.AWS_REGION=eu-west-1", None),
            ("/x?setting._HANDLER=x", None),
            (&format!("/x?setting.long={}", "x".repeat(4096)), None),
        ] {
            let headers: Vec<_> = header.into_iter().collect();
            assert!(options(&parts(uri, &headers)).is_err(), "{uri}");
        }
        for name in ["", "a.b", "ä", &"x".repeat(65), "../x"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
