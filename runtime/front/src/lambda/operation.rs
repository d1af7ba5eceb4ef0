//! The operations that are here: their names, members and limits.

use http::{HeaderMap, StatusCode};
use millrace_types::{KIB, MIB};

use super::request::Place::{Header, List, Number, Text};
use super::request::Places;
use super::{aliases, concurrency, create_function, event_config, functions, invoke, tags, update_function, versions};
use crate::protocol::shape::Member;
use crate::settings::CONTROL_BODY_BYTES_MAX;

/// Bytes of a body that holds code, as on AWS: 50 MiB in base64 and the JSON around it.
const CODE_BODY_BYTES_MAX: usize = 70_167_211;
/// Bytes of an event whose answer is waited for.
const EVENT_BYTES_MAX: usize = 6 * MIB;
/// Bytes of an event that is kept.
const KEPT_EVENT_BYTES_MAX: usize = 1024 * KIB;

/// An operation of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    CreateAlias,
    CreateFunction,
    DeleteAlias,
    DeleteFunction,
    DeleteFunctionConcurrency,
    DeleteFunctionEventInvokeConfig,
    GetAccountSettings,
    GetAlias,
    GetFunction,
    GetFunctionCodeSigningConfig,
    GetFunctionConcurrency,
    GetFunctionConfiguration,
    GetFunctionEventInvokeConfig,
    Invoke,
    ListAliases,
    ListFunctionEventInvokeConfigs,
    ListFunctions,
    ListTags,
    ListVersionsByFunction,
    PublishVersion,
    PutFunctionConcurrency,
    PutFunctionEventInvokeConfig,
    TagResource,
    UntagResource,
    UpdateAlias,
    UpdateFunctionCode,
    UpdateFunctionConfiguration,
    UpdateFunctionEventInvokeConfig,
}

impl Operation {
    /// All of them, with their names.
    pub(crate) const ALL: [(Self, &'static str); 28] = [
        (Self::CreateAlias, "CreateAlias"),
        (Self::CreateFunction, "CreateFunction"),
        (Self::DeleteAlias, "DeleteAlias"),
        (Self::DeleteFunction, "DeleteFunction"),
        (Self::DeleteFunctionConcurrency, "DeleteFunctionConcurrency"),
        (Self::DeleteFunctionEventInvokeConfig, "DeleteFunctionEventInvokeConfig"),
        (Self::GetAccountSettings, "GetAccountSettings"),
        (Self::GetAlias, "GetAlias"),
        (Self::GetFunction, "GetFunction"),
        (Self::GetFunctionCodeSigningConfig, "GetFunctionCodeSigningConfig"),
        (Self::GetFunctionConcurrency, "GetFunctionConcurrency"),
        (Self::GetFunctionConfiguration, "GetFunctionConfiguration"),
        (Self::GetFunctionEventInvokeConfig, "GetFunctionEventInvokeConfig"),
        (Self::Invoke, "Invoke"),
        (Self::ListAliases, "ListAliases"),
        (Self::ListFunctionEventInvokeConfigs, "ListFunctionEventInvokeConfigs"),
        (Self::ListFunctions, "ListFunctions"),
        (Self::ListTags, "ListTags"),
        (Self::ListVersionsByFunction, "ListVersionsByFunction"),
        (Self::PublishVersion, "PublishVersion"),
        (Self::PutFunctionConcurrency, "PutFunctionConcurrency"),
        (Self::PutFunctionEventInvokeConfig, "PutFunctionEventInvokeConfig"),
        (Self::TagResource, "TagResource"),
        (Self::UntagResource, "UntagResource"),
        (Self::UpdateAlias, "UpdateAlias"),
        (Self::UpdateFunctionCode, "UpdateFunctionCode"),
        (Self::UpdateFunctionConfiguration, "UpdateFunctionConfiguration"),
        (Self::UpdateFunctionEventInvokeConfig, "UpdateFunctionEventInvokeConfig"),
    ];

    /// Its name in the model.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(operation, _)| *operation == self).map_or("unknown", |(_, name)| *name)
    }

    /// Its name as the service's own errors have it.
    pub(super) fn name_in_errors(self) -> &'static str {
        if self == Self::Invoke { "InvokeFunction" } else { self.name() }
    }

    /// Its members.
    pub(crate) fn members(self) -> &'static [Member] {
        match self {
            Self::CreateAlias => &aliases::CREATE,
            Self::CreateFunction => &create_function::MEMBERS,
            Self::DeleteAlias | Self::GetAlias => &aliases::NAMED,
            Self::DeleteFunction | Self::GetFunction | Self::GetFunctionConfiguration => &functions::NAMED,
            Self::DeleteFunctionConcurrency | Self::GetFunctionConcurrency => &concurrency::NAMED,
            Self::DeleteFunctionEventInvokeConfig | Self::GetFunctionEventInvokeConfig => &functions::NAMED,
            Self::GetAccountSettings => &[],
            Self::GetFunctionCodeSigningConfig => &functions::SIGNING,
            Self::Invoke => &invoke::MEMBERS,
            Self::ListAliases => &aliases::LIST,
            Self::ListFunctionEventInvokeConfigs => &event_config::LIST,
            Self::ListFunctions => &functions::LIST,
            Self::ListTags => &tags::NAMED,
            Self::ListVersionsByFunction => &versions::LIST,
            Self::PublishVersion => &versions::PUBLISH,
            Self::PutFunctionConcurrency => &concurrency::PUT,
            Self::PutFunctionEventInvokeConfig | Self::UpdateFunctionEventInvokeConfig => &event_config::PUT,
            Self::TagResource => &tags::TAG,
            Self::UntagResource => &tags::UNTAG,
            Self::UpdateAlias => &aliases::UPDATE,
            Self::UpdateFunctionCode => &update_function::CODE,
            Self::UpdateFunctionConfiguration => &update_function::CONFIGURATION,
        }
    }

    /// Where its members stand that are not in the path or the body.
    pub(super) const fn places(self) -> Places {
        const QUALIFIED: Places = &[("Qualifier", Text("Qualifier"))];
        const PAGED: Places = &[("Marker", Text("Marker")), ("MaxItems", Number("MaxItems"))];
        match self {
            Self::GetFunction
            | Self::GetFunctionConfiguration
            | Self::DeleteFunction
            | Self::PutFunctionEventInvokeConfig
            | Self::GetFunctionEventInvokeConfig
            | Self::UpdateFunctionEventInvokeConfig
            | Self::DeleteFunctionEventInvokeConfig => QUALIFIED,
            Self::ListFunctions => &[
                ("MasterRegion", Text("MasterRegion")),
                ("FunctionVersion", Text("FunctionVersion")),
                ("Marker", Text("Marker")),
                ("MaxItems", Number("MaxItems")),
            ],
            Self::ListAliases => &[
                ("FunctionVersion", Text("FunctionVersion")),
                ("Marker", Text("Marker")),
                ("MaxItems", Number("MaxItems")),
            ],
            Self::ListVersionsByFunction | Self::ListFunctionEventInvokeConfigs => PAGED,
            Self::UntagResource => &[("TagKeys", List("tagKeys"))],
            Self::Invoke => &[
                ("Qualifier", Text("Qualifier")),
                ("InvocationType", Header(invoke::TYPE_HEADER)),
                ("LogType", Header("x-amz-log-type")),
                ("ClientContext", Header("x-amz-client-context")),
                ("DurableExecutionName", Header("x-amz-durable-execution-name")),
                ("TenantId", Header("x-amz-tenant-id")),
            ],
            _ => &[],
        }
    }

    /// Whether its bodies are those of deploys and invocations.
    pub(super) const fn is_heavy(self) -> bool {
        matches!(self, Self::CreateFunction | Self::UpdateFunctionCode | Self::Invoke)
    }

    /// Bytes of its body at most.
    pub(super) fn body_bytes_max(self, headers: &HeaderMap) -> usize {
        match self {
            Self::CreateFunction | Self::UpdateFunctionCode => CODE_BODY_BYTES_MAX,
            Self::Invoke if headers.get(invoke::TYPE_HEADER).is_some_and(|value| value == "Event") => {
                KEPT_EVENT_BYTES_MAX
            }
            Self::Invoke => EVENT_BYTES_MAX,
            _ => CONTROL_BODY_BYTES_MAX,
        }
    }

    /// The status of its good answers.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::CreateFunction | Self::CreateAlias | Self::PublishVersion => StatusCode::CREATED,
            Self::DeleteAlias
            | Self::DeleteFunction
            | Self::DeleteFunctionConcurrency
            | Self::DeleteFunctionEventInvokeConfig
            | Self::TagResource
            | Self::UntagResource => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        }
    }
}
