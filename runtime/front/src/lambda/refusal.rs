//! What the backend's refusals are told as: the service's exceptions in the service's words.

use base64_simd::STANDARD;
use millrace_catalog::Place;

use super::backend::{Qualifier, Target};
use super::backend_error::{LambdaError, ThrottleReason};
use super::names::{arn, not_found, qualified_arn, target_arn};
use crate::error::{ApiError, Code};

/// The refusal of a call that names a whole function.
pub(super) fn of_name(place: &Place, name: &str, error: LambdaError) -> ApiError {
    of(place, &Target { name: name.to_owned(), qualifier: Qualifier::Latest }, error)
}

/// The refusal of a call that names an alias.
pub(super) fn of_alias(place: &Place, name: &str, alias: &str, error: LambdaError) -> ApiError {
    let arn = qualified_arn(place, name, alias);
    match error {
        LambdaError::AliasNotFound => {
            ApiError::slugged(Code::ResourceNotFound, "function.unknown", format!("Cannot find alias arn: {arn}"))
        }
        LambdaError::AliasExists => conflict(format!("Alias already exists: {arn}")),
        other => of_name(place, name, other),
    }
}

/// The refusal of a call that names a target.
pub(super) fn of(place: &Place, target: &Target, error: LambdaError) -> ApiError {
    let arn = || target_arn(place, target);
    match error {
        LambdaError::FunctionNotFound => not_found(&arn()),
        LambdaError::VersionNotFound(number) => not_found(&qualified_arn(place, &target.name, &number.to_string())),
        LambdaError::AliasNotFound => {
            ApiError::slugged(Code::ResourceNotFound, "function.unknown", format!("Cannot find alias arn: {}", arn()))
        }
        LambdaError::EventConfigNotFound => ApiError::slugged(
            Code::ResourceNotFound,
            "function.unknown",
            format!("The function {} doesn't have an EventInvokeConfig", event_arn(place, target)),
        ),
        LambdaError::FunctionExists => conflict(format!("Function already exist: {}", target.name)),
        LambdaError::AliasExists => conflict(format!("Alias already exists: {}", arn())),
        LambdaError::VersionInUse(aliases) => {
            conflict(format!("Unable to delete version because the following aliases reference it: {aliases:?}"))
        }
        LambdaError::Pending => conflict(
            "The operation cannot be performed at this time. The function is currently in the following state: Pending",
        ),
        LambdaError::Failed(why) => conflict(format!(
            "The operation cannot be performed at this time. The function is currently in the following state: \
             Failed: {why}"
        )),
        LambdaError::UpdateInProgress => conflict(format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {}",
            self::arn(place, &target.name)
        )),
        LambdaError::Conflict(message) => conflict(message),
        LambdaError::RevisionMismatch => ApiError::new(
            Code::Precondition,
            "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
             retrieve the latest Revision Id",
        ),
        LambdaError::CodeMismatch(latest) => ApiError::invalid(format!(
            "The CodeSHA256 provided is different from current CodeSHA256 in $LATEST ({}). Please try again with the \
             CodeSHA256 in $LATEST.",
            STANDARD.encode_to_string(latest)
        )),
        LambdaError::Invalid(message) => ApiError::invalid(message),
        LambdaError::CodeStorageExceeded(message) => ApiError::new(Code::StorageExceeded, message),
        LambdaError::AliasLimit(message) => ApiError::new(Code::AliasLimit, message),
        LambdaError::TooLarge(message) => ApiError::new(Code::TooLarge, message),
        LambdaError::TooManyRequests(reason) => ApiError::new(Code::Throttled(text(reason)), "Rate Exceeded."),
        LambdaError::Unavailable { slug, message } => {
            ApiError::slugged(Code::ServiceUnavailable, slug, format!("{message} ({slug})"))
        }
        LambdaError::Internal(message) => ApiError::new(Code::Internal, message),
    }
}

/// The ARN under which what is set for events stands: that of `$LATEST` is qualified.
pub(super) fn event_arn(place: &Place, target: &Target) -> String {
    match target.qualifier {
        Qualifier::Latest => qualified_arn(place, &target.name, "$LATEST"),
        _ => target_arn(place, target),
    }
}

fn conflict(message: impl Into<String>) -> ApiError {
    ApiError::slugged(Code::ResourceInUse, "function.conflict", message)
}

const fn text(reason: ThrottleReason) -> &'static str {
    match reason {
        ThrottleReason::Account => "ConcurrentInvocationLimitExceeded",
        ThrottleReason::Reserved => "ReservedFunctionConcurrentInvocationLimitExceeded",
        ThrottleReason::Rate => "CallerRateLimitExceeded",
    }
}
