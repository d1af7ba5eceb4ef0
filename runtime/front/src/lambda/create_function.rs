//! `CreateFunction`, and what it shares with the updates.

use std::collections::BTreeMap;

use millrace_types::KIB;
use serde_json::{Value, json};

use super::backend::{Configuration, NewFunction, Version, World};
use super::members::{
    self, DESCRIPTION, FUNCTION_NAME, MEMORY, NO_CAPACITY, NO_IMAGE, NO_PUBLISH_TO, RUNTIME_HERE, TEXT, TIMEOUT,
};
use super::names::{arn, qualified_arn};
use super::{Call, code, refusal, tags, versions, view};
use crate::error::ApiError;
use crate::protocol::member::{only, optional, refused, required};
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

/// MiB of one instance when a request does not say: the service's default.
const MEMORY_MB: u32 = 128;
/// MiB of one instance at most.
const MEMORY_MB_MAX: u32 = 1024;
/// Seconds of one invocation when a request does not say: the service's default.
const TIMEOUT_S: u32 = 3;
/// Seconds of one invocation at most: those of the service's functions.
const TIMEOUT_S_MAX: u32 = 900;
/// Bytes of all variables together, as JSON.
pub const VARIABLES_BYTES_MAX: usize = 4 * KIB;
/// Names of variables that the service sets itself, as it documents them.
const RESERVED: [&str; 21] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];

pub(super) static MEMBERS: [Member; 30] = [
    required("FunctionName", FUNCTION_NAME),
    members::runtime(),
    members::role(true),
    members::handler(),
    required("Code", Shape::Structure(&CODE)),
    optional("Description", DESCRIPTION),
    optional("Timeout", TIMEOUT),
    optional("MemorySize", MEMORY),
    optional("Publish", Shape::Boolean),
    refused("PublishTo", NO_PUBLISH_TO),
    members::vpc(),
    only("PackageType", Shape::Enum { values: &["Zip", "Image"], extensions: &[] }, &["Zip"], NO_IMAGE),
    members::dead_letter(),
    members::environment(),
    members::kms("KMSKeyArn"),
    members::tracing(),
    optional("Tags", members::TAGS),
    members::layers(),
    members::file_systems(),
    refused("CodeSigningConfigArn", "nothing is signed; compare CodeSha256 with the file you built"),
    members::image_config(),
    members::architectures(),
    members::storage(),
    members::snap_start(),
    members::logging(),
    refused("TenancyConfig", "instances are not kept apart by tenants; deploy a function for each"),
    refused("CapacityProviderConfig", NO_CAPACITY),
    refused("DurableConfig", members::NO_DURABLE),
    refused("RuntimeConfig", members::NO_RUNTIME_CONFIG),
    refused("AcceleratorConfig", NO_CAPACITY),
];

static CODE: [Member; 7] = [
    optional("ZipFile", TEXT),
    members::bucket(),
    members::key(),
    members::object_version(),
    members::storage_mode(),
    refused("ImageUri", NO_IMAGE),
    members::kms("SourceKMSKeyArn"),
];

pub(super) async fn run(call: &Call<'_>, mut request: Value) -> Result<Value, ApiError> {
    let new = {
        let view = View(&request);
        let name = versions::name(call, view)?;
        let (Some(world), Some(_)) = (world(view), view.text("Runtime")) else {
            return Err(ApiError::invalid(
                "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
            ));
        };
        let configuration = Configuration {
            world,
            settings: settings(view)?.unwrap_or_default(),
            memory_mb: memory_mb(view)?.unwrap_or(MEMORY_MB),
            timeout_s: timeout_s(view)?.unwrap_or(TIMEOUT_S),
            description: view.text_or_empty("Description"),
            role: view.text_or_empty("Role"),
            log_group: log_group(view),
        };
        (name, configuration, tags::tags(view)?, view.boolean("Publish").unwrap_or_default())
    };
    let (name, configuration, tags, publish) = new;
    let code = code::read(call, request.get_mut("Code").unwrap_or(&mut Value::Null)).await?;
    let made = call.backend().create(NewFunction { name: name.clone(), code, configuration, tags, publish }).await;
    let info = made.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(view::function(&info, &made_arn(call, &name, info.version)))
}

/// The ARN that a change answers: that of the version, when it has published one.
pub(super) fn made_arn(call: &Call<'_>, name: &str, version: Version) -> String {
    match version {
        None => arn(call.place(), name),
        Some(number) => qualified_arn(call.place(), name, &number.to_string()),
    }
}

/// `Handler`.
pub(super) fn world(view: View<'_>) -> Option<World> {
    match view.text("Handler")? {
        "transform" => Some(World::Transform),
        "handler" => Some(World::Handler),
        _ => None,
    }
}

/// `LoggingConfig.LogGroup`.
pub(super) fn log_group(view: View<'_>) -> Option<String> {
    view.structure("LoggingConfig").and_then(|logging| logging.text("LogGroup")).map(str::to_owned)
}

/// `MemorySize` within our range.
///
/// # Errors
/// More than one instance may have.
pub(super) fn memory_mb(view: View<'_>) -> Result<Option<u32>, ApiError> {
    match view.number32("MemorySize") {
        Some(memory_mb) if memory_mb > MEMORY_MB_MAX => Err(ApiError::invalid(format!(
            "MemorySize {memory_mb} is not supported by Millrace: an instance has at most {MEMORY_MB_MAX} MB"
        ))),
        found => Ok(found),
    }
}

/// `Timeout` within our range.
///
/// # Errors
/// More than one invocation may take.
pub(super) fn timeout_s(view: View<'_>) -> Result<Option<u32>, ApiError> {
    match view.number32("Timeout") {
        Some(timeout_s) if timeout_s > TIMEOUT_S_MAX => Err(ApiError::invalid(format!(
            "Timeout {timeout_s} is not supported by Millrace: an invocation has at most {TIMEOUT_S_MAX} s"
        ))),
        found => Ok(found),
    }
}

/// `Environment.Variables`; an environment without any is an empty one.
///
/// # Errors
/// More bytes than a function may have.
pub(super) fn settings(view: View<'_>) -> Result<Option<BTreeMap<String, String>>, ApiError> {
    let Some(environment) = view.structure("Environment") else { return Ok(None) };
    let variables = environment.get("Variables").and_then(Value::as_object);
    let settings: BTreeMap<String, String> = variables
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    check_settings(&settings)?;
    Ok(Some(settings))
}

/// What holds for the settings of every function, however they come.
///
/// # Errors
/// Names that are the service's own; more bytes than a function may have.
pub(crate) fn check_settings(settings: &BTreeMap<String, String>) -> Result<(), ApiError> {
    let reserved: Vec<&str> = RESERVED.into_iter().filter(|name| settings.contains_key(*name)).collect();
    if !reserved.is_empty() {
        return Err(ApiError::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided contains reserved keys that are currently not supported for modification. Reserved keys used in \
             this request: {}",
            reserved.join(", ")
        )));
    }
    let bytes = if settings.is_empty() { 0 } else { json!(settings).to_string().len() };
    if bytes > VARIABLES_BYTES_MAX {
        // The service quotes the variables themselves: they may be secrets, and errors are logged.
        return Err(ApiError::invalid(format!(
            "Lambda was unable to configure your environment variables because the environment variables you have \
             provided exceeded the 4KB limit. String measured: {bytes} bytes"
        )));
    }
    Ok(())
}

/// Refuses a runtime with the sentence that says how to port what it runs.
///
/// # Errors
/// `InvalidParameterValueException`.
pub(super) fn check_runtime(request: &Value) -> Result<(), ApiError> {
    let Some(runtime) = View(request).text("Runtime").filter(|runtime| *runtime != RUNTIME_HERE) else {
        return Ok(());
    };
    let language = [("python", "python"), ("nodejs", "javascript"), ("go", "go"), ("provided", "rust")];
    let language = language.into_iter().find(|(prefix, _)| runtime.starts_with(prefix)).map(|(_, language)| language);
    let how = match language {
        Some(language) => format!(
            "run `millrace new NAME -t {language} --kind handler`, put your code into it, `millrace build`, and create \
             the function from the module with Runtime {RUNTIME_HERE} and Handler handler"
        ),
        None => format!(
            "rewrite it in Rust, Python, JavaScript, Go or C, `millrace new NAME -t LANGUAGE --kind handler`, and \
             create the function from the module with Runtime {RUNTIME_HERE} and Handler handler"
        ),
    };
    Err(ApiError::invalid(format!(
        "Runtime {runtime} is not supported by Millrace, whose functions are WebAssembly modules: {how}"
    )))
}
