//! Functions, aliases and what is set for events as the model's structures.

use base64_simd::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use millrace_catalog::Place;
use serde_json::{Map, Value, json};

use super::backend::{
    Alias, Configuration, EventConfigInfo, Failure, FailureCode, FunctionInfo, LastUpdate, State, Version, World,
};
use super::members::RUNTIME_HERE;
use super::refusal::event_arn;

/// What is put into every `FunctionConfiguration` of its own: no other value is taken.
fn fixed() -> Map<String, Value> {
    let fixed = json!({
        "Runtime": RUNTIME_HERE,
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "TracingConfig": { "Mode": "PassThrough" },
        "EphemeralStorage": { "Size": 512 },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
    });
    match fixed {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// `FunctionConfiguration` under an ARN.
pub(super) fn function(info: &FunctionInfo, arn: &str) -> Value {
    let mut shown = fixed();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    let Configuration { world, settings, memory_mb, timeout_s, description, role, log_group } = &info.configuration;
    put("FunctionName", json!(info.name));
    put("FunctionArn", json!(arn));
    put("Role", json!(role));
    put("Handler", json!(handler(*world)));
    put("CodeSize", json!(info.code_bytes));
    put("CodeSha256", json!(STANDARD.encode_to_string(info.code_sha256)));
    put("Description", json!(description));
    put("Timeout", json!(timeout_s));
    put("MemorySize", json!(memory_mb));
    put("LastModified", json!(stamp(info.modified_ms)));
    put("Version", json!(version(info.version)));
    put("RevisionId", json!(info.revision_id));
    if !settings.is_empty() {
        put("Environment", json!({ "Variables": settings }));
    }
    let group = log_group.clone().unwrap_or_else(|| format!("/aws/lambda/{}", info.name));
    put("LoggingConfig", json!({ "LogFormat": "Text", "LogGroup": group }));
    let (state, reason) = match &info.state {
        State::Pending => ("Pending", Some(("Creating", "The function is being created."))),
        State::Active => ("Active", None),
        State::Failed(failure) => ("Failed", Some(told(failure))),
    };
    put("State", json!(state));
    if let Some((code, text)) = reason {
        put("StateReasonCode", json!(code));
        put("StateReason", json!(text));
    }
    let (status, reason) = match &info.last_update {
        LastUpdate::Successful => ("Successful", None),
        LastUpdate::InProgress => ("InProgress", None),
        LastUpdate::Failed(failure) => ("Failed", Some(told(failure))),
    };
    put("LastUpdateStatus", json!(status));
    if let Some((code, text)) = reason {
        put("LastUpdateStatusReasonCode", json!(code));
        put("LastUpdateStatusReason", json!(text));
    }
    Value::Object(shown)
}

/// `AliasConfiguration` under an ARN.
pub(super) fn alias(alias: &Alias, arn: &str) -> Value {
    let mut shown = json!({
        "AliasArn": arn,
        "Name": alias.name,
        "FunctionVersion": alias.version.to_string(),
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    });
    if !alias.weights.is_empty()
        && let Some(members) = shown.as_object_mut()
    {
        let weights: Map<String, Value> =
            alias.weights.iter().map(|(version, weight)| (version.to_string(), json!(weight))).collect();
        members.insert("RoutingConfig".to_owned(), json!({ "AdditionalVersionWeights": weights }));
    }
    shown
}

/// `FunctionEventInvokeConfig`.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits for 285,000 years")]
pub(super) fn event_config(place: &Place, info: &EventConfigInfo) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("FunctionArn", json!(event_arn(place, &info.target)));
    put("LastModified", json!(info.modified_ms as f64 / 1000.0));
    if let Some(retries) = info.config.retries_max {
        put("MaximumRetryAttempts", json!(retries));
    }
    if let Some(age_s) = info.config.age_max_s {
        put("MaximumEventAgeInSeconds", json!(age_s));
    }
    let on_failure = info.config.on_failure.as_ref().map_or_else(|| json!({}), |arn| json!({ "Destination": arn }));
    put("DestinationConfig", json!({ "OnSuccess": {}, "OnFailure": on_failure }));
    Value::Object(shown)
}

/// `$LATEST`, or the version's number.
pub(super) fn version(version: Version) -> String {
    version.map_or_else(|| "$LATEST".to_owned(), |number| number.to_string())
}

const fn handler(world: World) -> &'static str {
    match world {
        World::Transform => "transform",
        World::Handler => "handler",
    }
}

fn told(failure: &Failure) -> (&'static str, &str) {
    let code = match failure.code {
        FailureCode::InvalidModule => "InvalidZipFileException",
        FailureCode::InvalidConfiguration => "InvalidConfiguration",
        FailureCode::FunctionError => "FunctionError",
        FailureCode::Quota => "ServiceQuotaExceededException",
        FailureCode::Internal => "InternalError",
    };
    (code, &failure.message)
}

/// `2026-11-25T09:00:00.000+0000`; a time that no calendar has is shown as its nearest.
fn stamp(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_service_does() {
        assert_eq!(stamp(1_795_597_200_000), "2026-11-25T09:00:00.000+0000");
        assert_eq!(stamp(7), "1970-01-01T00:00:00.007+0000");
        assert!(stamp(i64::MAX).starts_with("9999-") && stamp(i64::MIN).starts_with('-'));
    }
}
