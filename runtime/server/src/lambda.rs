//! The Lambda API before there are functions behind it: nothing is there, and nothing can be made.

use std::collections::BTreeMap;

use async_trait::async_trait;
use millrace_front::{
    Account, Alias, AliasChange, CodeChange, ConfigurationChange, EventConfig, EventConfigInfo, FunctionInfo,
    Invocation, Invoked, LambdaBackend, LambdaError, NewFunction, Publish, Target,
};

/// No functions.
#[derive(Debug)]
pub(crate) struct NoFunctions;

const NONE: LambdaError = LambdaError::FunctionNotFound;

fn deploy() -> LambdaError {
    LambdaError::Invalid("functions are deployed with `millrace deploy` or PUT /v1/functions/NAME".to_owned())
}

#[async_trait]
impl LambdaBackend for NoFunctions {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn function(&self, _target: &Target) -> Result<FunctionInfo, LambdaError> {
        Err(NONE)
    }

    fn versions(&self, _name: &str) -> Result<Vec<FunctionInfo>, LambdaError> {
        Err(NONE)
    }

    fn tags(&self, _name: &str) -> Result<BTreeMap<String, String>, LambdaError> {
        Err(NONE)
    }

    fn concurrency(&self, _name: &str) -> Result<Option<u32>, LambdaError> {
        Err(NONE)
    }

    fn alias(&self, _name: &str, _alias: &str) -> Result<Alias, LambdaError> {
        Err(NONE)
    }

    fn aliases(&self, _name: &str) -> Result<Vec<Alias>, LambdaError> {
        Err(NONE)
    }

    fn event_config(&self, _target: &Target) -> Result<EventConfigInfo, LambdaError> {
        Err(NONE)
    }

    fn event_configs(&self, _name: &str) -> Result<Vec<EventConfigInfo>, LambdaError> {
        Err(NONE)
    }

    fn account(&self) -> Account {
        Account { code_bytes_max: 0, code_bytes: 0, concurrency_max: 0, concurrency_unreserved: 0, functions: 0 }
    }

    async fn code(&self, _target: &Target) -> Result<bytes::Bytes, LambdaError> {
        Err(NONE)
    }

    async fn object(&self, _bucket: &str, _key: &str, _bytes_max: usize) -> Result<bytes::Bytes, LambdaError> {
        Err(deploy())
    }

    async fn create(&self, _function: NewFunction) -> Result<FunctionInfo, LambdaError> {
        Err(deploy())
    }

    async fn update_code(&self, _name: &str, _change: CodeChange) -> Result<FunctionInfo, LambdaError> {
        Err(NONE)
    }

    async fn update_configuration(
        &self,
        _name: &str,
        _change: ConfigurationChange,
    ) -> Result<FunctionInfo, LambdaError> {
        Err(NONE)
    }

    async fn publish(&self, _name: &str, _publish: Publish) -> Result<FunctionInfo, LambdaError> {
        Err(NONE)
    }

    async fn delete(&self, _name: &str) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn delete_version(&self, _name: &str, _version: u32) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn create_alias(&self, _name: &str, _alias: Alias) -> Result<Alias, LambdaError> {
        Err(NONE)
    }

    async fn update_alias(&self, _name: &str, _alias: &str, _change: AliasChange) -> Result<Alias, LambdaError> {
        Err(NONE)
    }

    async fn delete_alias(&self, _name: &str, _alias: &str) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn invoke(&self, _invocation: Invocation) -> Result<Invoked, LambdaError> {
        Err(NONE)
    }

    async fn enqueue(&self, _invocation: Invocation) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn check_invocation(&self, _target: &Target) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn put_event_config(&self, _target: &Target, _config: EventConfig) -> Result<EventConfigInfo, LambdaError> {
        Err(NONE)
    }

    async fn delete_event_config(&self, _target: &Target) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn put_concurrency(&self, _name: &str, _reserved: Option<u32>) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn tag(&self, _name: &str, _tags: BTreeMap<String, String>) -> Result<(), LambdaError> {
        Err(NONE)
    }

    async fn untag(&self, _name: &str, _keys: Vec<String>) -> Result<(), LambdaError> {
        Err(NONE)
    }
}
