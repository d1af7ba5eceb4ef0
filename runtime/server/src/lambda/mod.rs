//! The functions platform behind the Lambda API: types and errors of one become those of the other.

mod shown;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use millrace_catalog::{Alias, Configuration as Stored, EventConfig as StoredEvents};
use millrace_catalog::{Function, LastUpdate, Published, Revision};
use millrace_front::{
    Account, Alias as AliasInfo, AliasChange, CodeChange, Configuration, ConfigurationChange, EventConfig,
    EventConfigInfo, FunctionInfo, Invocation, Invoked, LambdaBackend, LambdaCode as Code, LambdaError, NewFunction,
    Publish, Qualifier, Target, ThrottleReason, Version, World,
};
use millrace_functions::{Change, Error, Functions, LATEST, Throttle, Upload};
use millrace_object::ObjectBuckets;

use shown::{alias_info, digest_of, event_info};

/// The Lambda API's backend.
#[derive(Debug)]
pub(crate) struct ServerLambda {
    pub(crate) functions: Arc<Functions>,
    pub(crate) buckets: Arc<ObjectBuckets>,
}

impl ServerLambda {
    fn found(&self, name: &str) -> Result<Arc<Function>, LambdaError> {
        self.functions.function(name).map_err(refused)
    }

    /// `$LATEST` as it is shown, and the revision with its code.
    fn latest(&self, name: &str) -> Result<(FunctionInfo, Arc<Revision>), LambdaError> {
        let function = self.found(name)?;
        let find = |number| self.functions.revision(name, number).ok_or(LambdaError::FunctionNotFound);
        let runs = find(function.latest)?;
        let revision = match function.last_update {
            LastUpdate::InProgress(number) => find(number)?,
            _ => Arc::clone(&runs),
        };
        Ok((shown::latest(&function, &runs, &revision), revision))
    }

    fn version(&self, name: &str, number: u32) -> Result<FunctionInfo, LambdaError> {
        let function = self.found(name)?;
        let published = function.versions.get(&number).ok_or(LambdaError::FunctionNotFound)?;
        self.published(name, number, published)
    }

    fn published(&self, name: &str, number: u32, published: &Published) -> Result<FunctionInfo, LambdaError> {
        let revision = self.functions.revision(name, published.revision).ok_or(LambdaError::FunctionNotFound)?;
        Ok(shown::version(number, published, &revision))
    }

    /// The newest version when one was published with a change, else `$LATEST`.
    fn changed(&self, name: &str, publish: bool) -> Result<FunctionInfo, LambdaError> {
        if !publish {
            return Ok(self.latest(name)?.0);
        }
        let newest = self.found(name)?.last_version;
        self.version(name, newest)
    }

    fn qualifier(target: &Target) -> Option<String> {
        match &target.qualifier {
            Qualifier::Latest => None,
            Qualifier::Version(number) => Some(number.to_string()),
            Qualifier::Alias(alias) => Some(alias.clone()),
        }
    }
}

fn upload(code: Code) -> Upload {
    Upload {
        module: code.module.to_vec(),
        sha256: base64_simd::STANDARD.encode_to_string(code.package_sha256),
        bytes: code.package_bytes,
    }
}

fn stored(configuration: Configuration) -> Stored {
    Stored {
        description: configuration.description,
        role: configuration.role,
        settings: configuration.settings,
        memory_bytes: u64::from(configuration.memory_mb) << 20,
        timeout_ms: configuration.timeout_s * 1_000,
        log_group: configuration.log_group,
        ..Stored::default()
    }
}

fn world_name(world: World) -> String {
    match world {
        World::Transform => "transform".to_owned(),
        World::Handler => "handler".to_owned(),
    }
}

fn refused(error: Error) -> LambdaError {
    match error {
        Error::NotFound(_) => LambdaError::FunctionNotFound,
        Error::VersionNotFound(version) => LambdaError::VersionNotFound(version),
        Error::AliasNotFound(_) => LambdaError::AliasNotFound,
        Error::EventConfigNotFound(_) => LambdaError::EventConfigNotFound,
        Error::FunctionExists(_) => LambdaError::FunctionExists,
        Error::AliasExists(_) => LambdaError::AliasExists,
        Error::VersionInUse { aliases, .. } => LambdaError::VersionInUse(aliases),
        Error::UpdateInProgress(_) | Error::Cut(_) => LambdaError::UpdateInProgress,
        Error::Precondition => LambdaError::RevisionMismatch,
        Error::CodeMismatch(sha256) => LambdaError::CodeMismatch(digest_of(&sha256)),
        Error::Pending(_) => LambdaError::Pending,
        Error::Failed { reason, .. } => LambdaError::Failed(reason),
        Error::Invalid { message, .. } => LambdaError::Invalid(message),
        Error::TooLarge(message) => LambdaError::TooLarge(message),
        Error::AliasLimit(_) => LambdaError::AliasLimit(error.to_string()),
        Error::Throttled(Throttle::Account) => LambdaError::TooManyRequests(ThrottleReason::Account),
        Error::Throttled(Throttle::Reserved) => LambdaError::TooManyRequests(ThrottleReason::Reserved),
        Error::Throttled(Throttle::Events) => LambdaError::TooManyRequests(ThrottleReason::Rate),
        Error::Module { ref source, .. } => match source {
            millrace_transform::Error::Io { .. } => {
                LambdaError::Unavailable { slug: error.slug(), message: crate::admin::chain(&error) }
            }
            _ => LambdaError::Invalid(error.to_string()),
        },
        Error::Files(_) => LambdaError::Unavailable { slug: error.slug(), message: crate::admin::chain(&error) },
        Error::CodeStorage { .. } | Error::Catalog(millrace_catalog::Error::Limit { .. }) => {
            LambdaError::CodeStorageExceeded(error.to_string())
        }
        Error::Catalog(_) => LambdaError::Internal(crate::admin::chain(&error)),
    }
}

fn version_of(text: &str) -> Version {
    if text == LATEST { None } else { text.parse().ok() }
}

#[async_trait]
impl LambdaBackend for ServerLambda {
    fn names(&self) -> Vec<String> {
        self.functions.list().iter().map(|function| function.name.clone()).collect()
    }

    fn function(&self, target: &Target) -> Result<FunctionInfo, LambdaError> {
        match &target.qualifier {
            Qualifier::Latest => Ok(self.latest(&target.name)?.0),
            Qualifier::Version(number) => self.version(&target.name, *number),
            Qualifier::Alias(alias) => {
                let alias = self.functions.alias(&target.name, alias).map_err(|error| match error {
                    Error::AliasNotFound(_) => LambdaError::FunctionNotFound,
                    other => refused(other),
                })?;
                self.version(&target.name, alias.version)
            }
        }
    }

    fn versions(&self, name: &str) -> Result<Vec<FunctionInfo>, LambdaError> {
        let function = self.found(name)?;
        let published = function.versions.iter().map(|(number, version)| self.published(name, *number, version));
        std::iter::once(self.latest(name).map(|(info, _)| info)).chain(published).collect()
    }

    fn tags(&self, name: &str) -> Result<BTreeMap<String, String>, LambdaError> {
        Ok(self.found(name)?.tags.clone())
    }

    fn concurrency(&self, name: &str) -> Result<Option<u32>, LambdaError> {
        Ok(self.found(name)?.reserved_concurrency)
    }

    fn alias(&self, name: &str, alias: &str) -> Result<AliasInfo, LambdaError> {
        self.functions.alias(name, alias).map(|found| alias_info(alias, found)).map_err(refused)
    }

    fn aliases(&self, name: &str) -> Result<Vec<AliasInfo>, LambdaError> {
        Ok(self.found(name)?.aliases.iter().map(|(name, alias)| alias_info(name, alias.clone())).collect())
    }

    fn event_config(&self, target: &Target) -> Result<EventConfigInfo, LambdaError> {
        let function = self.found(&target.name)?;
        let qualifier = Self::qualifier(target).unwrap_or_else(|| LATEST.to_owned());
        let config = function.event_configs.get(&qualifier).ok_or(LambdaError::EventConfigNotFound)?;
        Ok(event_info(target.clone(), config))
    }

    fn event_configs(&self, name: &str) -> Result<Vec<EventConfigInfo>, LambdaError> {
        let function = self.found(name)?;
        let mut all: Vec<EventConfigInfo> = function
            .event_configs
            .iter()
            .map(|(qualifier, config)| {
                let qualifier = match qualifier.parse() {
                    _ if qualifier == LATEST => Qualifier::Latest,
                    Ok(number) => Qualifier::Version(number),
                    Err(_) => Qualifier::Alias(qualifier.clone()),
                };
                event_info(Target { name: name.to_owned(), qualifier }, config)
            })
            .collect();
        let order = |info: &EventConfigInfo| match &info.target.qualifier {
            Qualifier::Latest => (0, 0, String::new()),
            Qualifier::Version(number) => (1, *number, String::new()),
            Qualifier::Alias(alias) => (2, 0, alias.clone()),
        };
        all.sort_by_key(order);
        Ok(all)
    }

    fn account(&self) -> Account {
        let (code_bytes, functions, concurrency) = self.functions.account();
        Account {
            code_bytes_max: millrace_functions::CODE_BYTES_MAX,
            code_bytes,
            concurrency_max: concurrency.0,
            concurrency_unreserved: concurrency.1,
            functions,
        }
    }

    async fn code(&self, target: &Target) -> Result<Bytes, LambdaError> {
        let version = match target.qualifier {
            Qualifier::Latest => None,
            _ => self.function(target)?.version,
        };
        let revision = match version {
            None => self.latest(&target.name)?.1,
            Some(version) => {
                let number = self.found(&target.name)?.versions.get(&version).map(|published| published.revision);
                let revision = number.and_then(|number| self.functions.revision(&target.name, number));
                revision.ok_or(LambdaError::FunctionNotFound)?
            }
        };
        let functions = Arc::clone(&self.functions);
        let component = millrace_tasks::blocking(move || functions.component(&revision)).await;
        component.map(Bytes::from).map_err(refused)
    }

    async fn object(&self, bucket: &str, key: &str, bytes_max: usize) -> Result<Bytes, LambdaError> {
        let read = self.buckets.read(bucket, key, bytes_max).await;
        read.map(Bytes::from).map_err(|error| LambdaError::Invalid(error.to_string()))
    }

    async fn create(&self, new: NewFunction) -> Result<FunctionInfo, LambdaError> {
        let (name, publish) = (new.name.clone(), new.publish);
        let new = millrace_functions::NewFunction {
            name: new.name,
            upload: upload(new.code),
            world: Some(world_name(new.configuration.world)),
            config: stored(new.configuration),
            tags: new.tags,
            publish,
            deploy: false,
        };
        self.functions.create(new).await.map_err(refused)?;
        self.changed(&name, publish)
    }

    async fn update_code(&self, name: &str, change: CodeChange) -> Result<FunctionInfo, LambdaError> {
        let (publish, dry_run) = (change.publish, change.dry_run);
        let function = self.found(name)?;
        let latest = self.functions.revision(name, function.latest).ok_or(LambdaError::FunctionNotFound)?;
        let change = Change {
            upload: Some(upload(change.code)),
            world: Some(latest.code.world.clone()),
            revision_id: change.revision_id,
            publish,
            dry_run,
            ..Change::default()
        };
        let (function, revision) = self.functions.update(name, change).await.map_err(refused)?;
        if dry_run {
            let runs = self.functions.revision(name, function.latest).ok_or(LambdaError::FunctionNotFound)?;
            return Ok(shown::latest(&function, &runs, &revision));
        }
        self.changed(name, publish)
    }

    async fn update_configuration(&self, name: &str, change: ConfigurationChange) -> Result<FunctionInfo, LambdaError> {
        let function = self.found(name)?;
        let latest = self.functions.revision(name, function.latest).ok_or(LambdaError::FunctionNotFound)?;
        let mut config = latest.config.clone();
        config.settings = change.settings.unwrap_or(config.settings);
        config.memory_bytes = change.memory_mb.map_or(config.memory_bytes, |mb| u64::from(mb) << 20);
        config.timeout_ms = change.timeout_s.map_or(config.timeout_ms, |s| s * 1_000);
        config.description = change.description.unwrap_or(config.description);
        config.role = change.role.unwrap_or(config.role);
        config.log_group = change.log_group.or(config.log_group);
        let change = Change {
            world: change.world.map(world_name),
            config: Some(config),
            revision_id: change.revision_id,
            ..Change::default()
        };
        self.functions.update(name, change).await.map_err(refused)?;
        Ok(self.latest(name)?.0)
    }

    async fn publish(&self, name: &str, publish: Publish) -> Result<FunctionInfo, LambdaError> {
        let sha256 = publish.code_sha256.map(|digest| base64_simd::STANDARD.encode_to_string(digest));
        let published = self.functions.publish(name, sha256, publish.description, publish.revision_id).await;
        self.version(name, published.map_err(refused)?)
    }

    async fn delete(&self, name: &str) -> Result<(), LambdaError> {
        self.functions.delete(name, None).await.map_err(refused)
    }

    async fn delete_version(&self, name: &str, version: u32) -> Result<(), LambdaError> {
        self.found(name)?;
        match self.functions.delete(name, Some(&version.to_string())).await {
            Ok(()) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    async fn create_alias(&self, name: &str, alias: AliasInfo) -> Result<AliasInfo, LambdaError> {
        let new = Alias {
            version: alias.version,
            canary: alias.weights.into_iter().next(),
            description: alias.description,
            revision_id: String::new(),
            before: Vec::new(),
        };
        let made = self.functions.create_alias(name, &alias.name, new).await.map_err(refused)?;
        Ok(alias_info(&alias.name, made))
    }

    async fn update_alias(&self, name: &str, alias: &str, change: AliasChange) -> Result<AliasInfo, LambdaError> {
        let change = millrace_functions::AliasChange {
            version: change.version,
            canary: change.weights.map(|weights| weights.into_iter().next()),
            description: change.description,
            revision_id: change.revision_id,
        };
        let changed = self.functions.update_alias(name, alias, change).await.map_err(refused)?;
        Ok(alias_info(alias, changed))
    }

    async fn delete_alias(&self, name: &str, alias: &str) -> Result<(), LambdaError> {
        self.functions.delete_alias(name, alias).await.map_err(refused)
    }

    async fn invoke(&self, invocation: Invocation) -> Result<Invoked, LambdaError> {
        let invoked = self.functions.invoke(invocation_of(invocation)).await.map_err(refused)?;
        Ok(Invoked {
            version: version_of(&invoked.version),
            payload: Bytes::from(invoked.payload),
            function_error: invoked.failed,
            log: Bytes::from(invoked.log),
        })
    }

    async fn enqueue(&self, invocation: Invocation) -> Result<(), LambdaError> {
        self.functions.enqueue(invocation_of(invocation)).await.map_err(refused)
    }

    async fn check_invocation(&self, target: &Target) -> Result<(), LambdaError> {
        let qualifier = Self::qualifier(target);
        let resolved = self.functions.resolve(&target.name, qualifier.as_deref()).map_err(refused)?;
        resolved.ready().map(drop).map_err(refused)
    }

    async fn put_event_config(&self, target: &Target, config: EventConfig) -> Result<EventConfigInfo, LambdaError> {
        if let Some(destination) = &config.on_failure {
            self.functions.check_destination(&target.name, destination).map_err(refused)?;
        }
        let stored = StoredEvents {
            retries: config.retries_max,
            age_s: config.age_max_s,
            on_failure: config.on_failure,
            modified_ms: self.functions.now_ms(),
        };
        let qualifier = Self::qualifier(target).unwrap_or_else(|| LATEST.to_owned());
        let set = self.functions.set_event_config(&target.name, &qualifier, Some(stored.clone())).await;
        set.map_err(refused)?;
        Ok(event_info(target.clone(), &stored))
    }

    async fn delete_event_config(&self, target: &Target) -> Result<(), LambdaError> {
        let qualifier = Self::qualifier(target).unwrap_or_else(|| LATEST.to_owned());
        self.functions.set_event_config(&target.name, &qualifier, None).await.map_err(refused)
    }

    async fn put_concurrency(&self, name: &str, reserved: Option<u32>) -> Result<(), LambdaError> {
        self.functions.set_concurrency(name, reserved).await.map_err(refused)
    }

    async fn tag(&self, name: &str, tags: BTreeMap<String, String>) -> Result<(), LambdaError> {
        self.functions.tag(name, tags, Vec::new()).await.map_err(refused)
    }

    async fn untag(&self, name: &str, keys: Vec<String>) -> Result<(), LambdaError> {
        self.functions.tag(name, BTreeMap::new(), keys).await.map_err(refused)
    }
}

fn invocation_of(invocation: Invocation) -> millrace_functions::Invocation {
    millrace_functions::Invocation {
        qualifier: ServerLambda::qualifier(&invocation.target),
        name: invocation.target.name,
        payload: invocation.payload.to_vec(),
        request_id: invocation.request_id,
        client_context: invocation.client_context,
    }
}
