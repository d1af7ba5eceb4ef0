//! Operations of Lambda's service model that are not here, each with what to do instead.

use crate::error::{ApiError, Code};

/// An operation that is refused by its name.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(super) method: &'static str,
    /// Its path; a literal of its query behind `?`.
    pub(super) path: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// What to do instead.
    pub(crate) advice: &'static str,
}

impl Missing {
    /// `InvalidParameterValueException`, which all of these operations have in the model but one.
    pub(super) fn refusal(&self) -> ApiError {
        let code = if self.name == "InvokeAsync" { Code::RequestContent } else { Code::InvalidArgument };
        ApiError::new(code, format!("This version of Millrace does not have {}: {}", self.name, self.advice))
    }
}

const LAYER: &str = "a function is one module; build what it shares into it";
const CAPACITY: &str = "functions run in this server itself; give one its share with PutFunctionConcurrency";
const DURABLE: &str = "use Invoke with InvocationType Event, whose events are kept and tried again";
const SIGNING: &str = "nothing is signed; compare CodeSha256 with the file you built";
const MAPPING: &str = "name the function in the ProcessingConfiguration of a delivery stream";
const URL: &str = "call Invoke, or POST /v1/functions/NAME/invoke";
const PROVISIONED: &str = "instances are made when they are needed; reserve some with PutFunctionConcurrency";
const POLICY: &str = "whoever has an access key of this server may call its functions";
const RECURSION: &str = "there is no detection of loops to set";
const RUNTIME: &str = "a module carries its runtime; there is none to manage";
const ASYNC: &str = "use Invoke with InvocationType Event";
const STREAMING: &str = "use Invoke; an answer comes in one piece";

const fn missing(method: &'static str, path: &'static str, name: &'static str, advice: &'static str) -> Missing {
    Missing { method, path, name, advice }
}

/// All of them; those with a literal in their query first.
pub(crate) static MISSING: [Missing; 63] = [
    missing("GET", "2018-10-31/layers?find=LayerVersion", "GetLayerVersionByArn", LAYER),
    missing(
        "GET",
        "2019-09-30/functions/{FunctionName}/provisioned-concurrency?List=ALL",
        "ListProvisionedConcurrencyConfigs",
        PROVISIONED,
    ),
    missing(
        "POST",
        "2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy",
        "AddLayerVersionPermission",
        LAYER,
    ),
    missing("POST", "2015-03-31/functions/{FunctionName}/policy", "AddPermission", POLICY),
    missing(
        "POST",
        "2025-12-01/durable-executions/{DurableExecutionArn}/checkpoint",
        "CheckpointDurableExecution",
        DURABLE,
    ),
    missing("POST", "2025-11-30/capacity-providers", "CreateCapacityProvider", CAPACITY),
    missing("POST", "2020-04-22/code-signing-configs", "CreateCodeSigningConfig", SIGNING),
    missing("POST", "2015-03-31/event-source-mappings", "CreateEventSourceMapping", MAPPING),
    missing("POST", "2021-10-31/functions/{FunctionName}/url", "CreateFunctionUrlConfig", URL),
    missing("DELETE", "2025-11-30/capacity-providers/{CapacityProviderName}", "DeleteCapacityProvider", CAPACITY),
    missing("DELETE", "2020-04-22/code-signing-configs/{CodeSigningConfigArn}", "DeleteCodeSigningConfig", SIGNING),
    missing("DELETE", "2025-12-01/durable-executions/{DurableExecutionArn}", "DeleteDurableExecution", DURABLE),
    missing("DELETE", "2015-03-31/event-source-mappings/{UUID}", "DeleteEventSourceMapping", MAPPING),
    missing(
        "DELETE",
        "2020-06-30/functions/{FunctionName}/code-signing-config",
        "DeleteFunctionCodeSigningConfig",
        SIGNING,
    ),
    missing("DELETE", "2021-10-31/functions/{FunctionName}/url", "DeleteFunctionUrlConfig", URL),
    missing("DELETE", "2018-10-31/layers/{LayerName}/versions/{VersionNumber}", "DeleteLayerVersion", LAYER),
    missing(
        "DELETE",
        "2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        "DeleteProvisionedConcurrencyConfig",
        PROVISIONED,
    ),
    missing("DELETE", "2026-07-09/resource-policy/{ResourceArn}", "DeleteResourcePolicy", POLICY),
    missing("GET", "2025-11-30/capacity-providers/{CapacityProviderName}", "GetCapacityProvider", CAPACITY),
    missing("GET", "2020-04-22/code-signing-configs/{CodeSigningConfigArn}", "GetCodeSigningConfig", SIGNING),
    missing("GET", "2025-12-01/durable-executions/{DurableExecutionArn}", "GetDurableExecution", DURABLE),
    missing(
        "GET",
        "2025-12-01/durable-executions/{DurableExecutionArn}/history",
        "GetDurableExecutionHistory",
        DURABLE,
    ),
    missing("GET", "2025-12-01/durable-executions/{DurableExecutionArn}/state", "GetDurableExecutionState", DURABLE),
    missing("GET", "2015-03-31/event-source-mappings/{UUID}", "GetEventSourceMapping", MAPPING),
    missing("GET", "2024-08-31/functions/{FunctionName}/recursion-config", "GetFunctionRecursionConfig", RECURSION),
    missing("GET", "2025-11-30/functions/{FunctionName}/function-scaling-config", "GetFunctionScalingConfig", CAPACITY),
    missing("GET", "2021-10-31/functions/{FunctionName}/url", "GetFunctionUrlConfig", URL),
    missing("GET", "2018-10-31/layers/{LayerName}/versions/{VersionNumber}", "GetLayerVersion", LAYER),
    missing("GET", "2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy", "GetLayerVersionPolicy", LAYER),
    missing("GET", "2015-03-31/functions/{FunctionName}/policy", "GetPolicy", POLICY),
    missing(
        "GET",
        "2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        "GetProvisionedConcurrencyConfig",
        PROVISIONED,
    ),
    missing("GET", "2026-07-09/resource-policy/{ResourceArn}", "GetResourcePolicy", POLICY),
    missing(
        "GET",
        "2021-07-20/functions/{FunctionName}/runtime-management-config",
        "GetRuntimeManagementConfig",
        RUNTIME,
    ),
    missing("POST", "2014-11-13/functions/{FunctionName}/invoke-async", "InvokeAsync", ASYNC),
    missing(
        "POST",
        "2021-11-15/functions/{FunctionName}/response-streaming-invocations",
        "InvokeWithResponseStream",
        STREAMING,
    ),
    missing("GET", "2025-11-30/capacity-providers", "ListCapacityProviders", CAPACITY),
    missing("GET", "2020-04-22/code-signing-configs", "ListCodeSigningConfigs", SIGNING),
    missing(
        "GET",
        "2025-12-01/functions/{FunctionName}/durable-executions",
        "ListDurableExecutionsByFunction",
        DURABLE,
    ),
    missing("GET", "2015-03-31/event-source-mappings", "ListEventSourceMappings", MAPPING),
    missing("GET", "2021-10-31/functions/{FunctionName}/urls", "ListFunctionUrlConfigs", URL),
    missing(
        "GET",
        "2025-11-30/capacity-providers/{CapacityProviderName}/function-versions",
        "ListFunctionVersionsByCapacityProvider",
        CAPACITY,
    ),
    missing(
        "GET",
        "2020-04-22/code-signing-configs/{CodeSigningConfigArn}/functions",
        "ListFunctionsByCodeSigningConfig",
        SIGNING,
    ),
    missing("GET", "2018-10-31/layers/{LayerName}/versions", "ListLayerVersions", LAYER),
    missing("GET", "2018-10-31/layers", "ListLayers", LAYER),
    missing("POST", "2025-12-01/durable-executions/{DurableExecutionArn}/pause", "PauseDurableExecution", DURABLE),
    missing("POST", "2018-10-31/layers/{LayerName}/versions", "PublishLayerVersion", LAYER),
    missing("PUT", "2020-06-30/functions/{FunctionName}/code-signing-config", "PutFunctionCodeSigningConfig", SIGNING),
    missing("PUT", "2024-08-31/functions/{FunctionName}/recursion-config", "PutFunctionRecursionConfig", RECURSION),
    missing("PUT", "2025-11-30/functions/{FunctionName}/function-scaling-config", "PutFunctionScalingConfig", CAPACITY),
    missing(
        "PUT",
        "2019-09-30/functions/{FunctionName}/provisioned-concurrency",
        "PutProvisionedConcurrencyConfig",
        PROVISIONED,
    ),
    missing("PUT", "2026-07-09/resource-policy/{ResourceArn}", "PutResourcePolicy", POLICY),
    missing(
        "PUT",
        "2021-07-20/functions/{FunctionName}/runtime-management-config",
        "PutRuntimeManagementConfig",
        RUNTIME,
    ),
    missing(
        "DELETE",
        "2018-10-31/layers/{LayerName}/versions/{VersionNumber}/policy/{StatementId}",
        "RemoveLayerVersionPermission",
        LAYER,
    ),
    missing("DELETE", "2015-03-31/functions/{FunctionName}/policy/{StatementId}", "RemovePermission", POLICY),
    missing("POST", "2025-12-01/durable-executions/{DurableExecutionArn}/resume", "ResumeDurableExecution", DURABLE),
    missing(
        "POST",
        "2025-12-01/durable-execution-callbacks/{CallbackId}/fail",
        "SendDurableExecutionCallbackFailure",
        DURABLE,
    ),
    missing(
        "POST",
        "2025-12-01/durable-execution-callbacks/{CallbackId}/heartbeat",
        "SendDurableExecutionCallbackHeartbeat",
        DURABLE,
    ),
    missing(
        "POST",
        "2025-12-01/durable-execution-callbacks/{CallbackId}/succeed",
        "SendDurableExecutionCallbackSuccess",
        DURABLE,
    ),
    missing("POST", "2025-12-01/durable-executions/{DurableExecutionArn}/stop", "StopDurableExecution", DURABLE),
    missing("PUT", "2025-11-30/capacity-providers/{CapacityProviderName}", "UpdateCapacityProvider", CAPACITY),
    missing("PUT", "2020-04-22/code-signing-configs/{CodeSigningConfigArn}", "UpdateCodeSigningConfig", SIGNING),
    missing("PUT", "2015-03-31/event-source-mappings/{UUID}", "UpdateEventSourceMapping", MAPPING),
    missing("PUT", "2021-10-31/functions/{FunctionName}/url", "UpdateFunctionUrlConfig", URL),
];
