//! `UpdateFunctionCode`, `UpdateFunctionConfiguration`.

use serde_json::Value;

use super::backend::{CodeChange, ConfigurationChange};
use super::create_function::{log_group, made_arn, memory_mb, settings, timeout_s, world};
use super::members::{self, DESCRIPTION, FUNCTION_NAME, MEMORY, NO_CAPACITY, NO_IMAGE, NO_PUBLISH_TO, TEXT, TIMEOUT};
use super::versions::{name, revision_id};
use super::{Call, code, refusal, view};
use crate::error::ApiError;
use crate::protocol::member::{optional, refused, required};
use crate::protocol::shape::{Member, Shape};
use crate::protocol::view::View;

pub(super) static CODE: [Member; 13] = [
    required("FunctionName", FUNCTION_NAME),
    optional("ZipFile", TEXT),
    members::bucket(),
    members::key(),
    members::object_version(),
    members::storage_mode(),
    refused("ImageUri", NO_IMAGE),
    members::architectures(),
    optional("Publish", Shape::Boolean),
    refused("PublishTo", NO_PUBLISH_TO),
    optional("DryRun", Shape::Boolean),
    optional("RevisionId", TEXT),
    members::kms("SourceKMSKeyArn"),
];

pub(super) static CONFIGURATION: [Member; 23] = [
    required("FunctionName", FUNCTION_NAME),
    members::role(false),
    members::handler(),
    optional("Description", DESCRIPTION),
    optional("Timeout", TIMEOUT),
    optional("MemorySize", MEMORY),
    members::vpc(),
    members::environment(),
    members::runtime(),
    members::dead_letter(),
    members::kms("KMSKeyArn"),
    members::tracing(),
    optional("RevisionId", TEXT),
    members::layers(),
    members::file_systems(),
    members::image_config(),
    members::storage(),
    members::snap_start(),
    members::logging(),
    refused("CapacityProviderConfig", NO_CAPACITY),
    refused("DurableConfig", members::NO_DURABLE),
    refused("RuntimeConfig", members::NO_RUNTIME_CONFIG),
    refused("AcceleratorConfig", NO_CAPACITY),
];

pub(super) async fn code(call: &Call<'_>, mut request: Value) -> Result<Value, ApiError> {
    let name = name(call, View(&request))?;
    let code = code::read(call, &mut request).await?;
    let view = View(&request);
    let change = CodeChange {
        code,
        publish: view.boolean("Publish").unwrap_or_default(),
        dry_run: view.boolean("DryRun").unwrap_or_default(),
        revision_id: revision_id(view),
    };
    let changed = call.backend().update_code(&name, change).await;
    let info = changed.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(view::function(&info, &made_arn(call, &name, info.version)))
}

pub(super) async fn configuration(call: &Call<'_>, view: View<'_>) -> Result<Value, ApiError> {
    let name = name(call, view)?;
    let change = ConfigurationChange {
        world: world(view),
        settings: settings(view)?,
        memory_mb: memory_mb(view)?,
        timeout_s: timeout_s(view)?,
        description: view.text("Description").map(str::to_owned),
        role: view.text("Role").map(str::to_owned),
        log_group: log_group(view),
        revision_id: revision_id(view),
    };
    let changed = call.backend().update_configuration(&name, change).await;
    let info = changed.map_err(|error| refusal::of_name(call.place(), &name, error))?;
    Ok(view::function(&info, &made_arn(call, &name, info.version)))
}
