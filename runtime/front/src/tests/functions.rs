//! Functions in memory, behind the Lambda API.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::fake::NOW_MS;
use crate::lambda::backend::{
    Account, Alias, AliasChange, CodeChange, ConfigurationChange, EventConfig, EventConfigInfo, FunctionInfo,
    Invocation, Invoked, LambdaBackend, LastUpdate, NewFunction, Publish, Qualifier, State, Target,
};
use crate::lambda::backend_error::LambdaError;

#[derive(Debug, Clone)]
struct Function {
    latest: FunctionInfo,
    module: Bytes,
    versions: Vec<FunctionInfo>,
    aliases: BTreeMap<String, Alias>,
    events: Vec<EventConfigInfo>,
    tags: BTreeMap<String, String>,
    reserved: Option<u32>,
}

/// Functions in memory.
#[derive(Debug, Default)]
pub(super) struct Functions {
    functions: Mutex<BTreeMap<String, Function>>,
    revisions: Mutex<u32>,
    pub(super) objects: Mutex<BTreeMap<(String, String), Bytes>>,
    pub(super) invoked: Mutex<Vec<Invocation>>,
    pub(super) enqueued: Mutex<Vec<Invocation>>,
    /// What the next calls answer instead.
    pub(super) trouble: Mutex<Option<LambdaError>>,
}

type Answer<T> = Result<T, LambdaError>;

impl Functions {
    fn revision(&self) -> String {
        let mut revisions = self.revisions.lock();
        *revisions += 1;
        format!("00000000-0000-4000-8000-{:012}", *revisions)
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Function) -> Answer<T>) -> Answer<T> {
        if let Some(trouble) = self.trouble.lock().clone() {
            return Err(trouble);
        }
        self.functions.lock().get_mut(name).map_or(Err(LambdaError::FunctionNotFound), work)
    }

    fn publish_now(&self, function: &mut Function) -> FunctionInfo {
        let number = u32::try_from(function.versions.len()).expect("few") + 1;
        let info = FunctionInfo { version: Some(number), revision_id: self.revision(), ..function.latest.clone() };
        function.versions.push(info.clone());
        info
    }
}

fn check_revision(wanted: Option<&String>, own: &str) -> Answer<()> {
    if wanted.is_none_or(|wanted| wanted == own) { Ok(()) } else { Err(LambdaError::RevisionMismatch) }
}

fn version(function: &Function, number: u32) -> Option<&FunctionInfo> {
    function.versions.iter().find(|info| info.version == Some(number))
}

fn find(function: &Function, qualifier: &Qualifier) -> Answer<FunctionInfo> {
    let found = match qualifier {
        Qualifier::Latest => Some(&function.latest),
        Qualifier::Version(number) => version(function, *number),
        Qualifier::Alias(alias) => {
            let alias = function.aliases.get(alias).ok_or(LambdaError::FunctionNotFound)?;
            version(function, alias.version)
        }
    };
    found.cloned().ok_or(LambdaError::FunctionNotFound)
}

fn check_alias(function: &Function, alias: &Alias) -> Answer<()> {
    let named = std::iter::once(alias.version).chain(alias.weights.keys().copied());
    match named.into_iter().find(|number| version(function, *number).is_none()) {
        Some(number) => Err(LambdaError::VersionNotFound(number)),
        None => Ok(()),
    }
}

#[async_trait]
impl LambdaBackend for Functions {
    fn names(&self) -> Vec<String> {
        self.functions.lock().keys().cloned().collect()
    }

    fn function(&self, target: &Target) -> Answer<FunctionInfo> {
        self.with(&target.name, |function| find(function, &target.qualifier))
    }

    fn versions(&self, name: &str) -> Answer<Vec<FunctionInfo>> {
        self.with(name, |function| Ok([vec![function.latest.clone()], function.versions.clone()].concat()))
    }

    fn tags(&self, name: &str) -> Answer<BTreeMap<String, String>> {
        self.with(name, |function| Ok(function.tags.clone()))
    }

    fn concurrency(&self, name: &str) -> Answer<Option<u32>> {
        self.with(name, |function| Ok(function.reserved))
    }

    fn alias(&self, name: &str, alias: &str) -> Answer<Alias> {
        self.with(name, |function| function.aliases.get(alias).cloned().ok_or(LambdaError::AliasNotFound))
    }

    fn aliases(&self, name: &str) -> Answer<Vec<Alias>> {
        self.with(name, |function| Ok(function.aliases.values().cloned().collect()))
    }

    fn event_config(&self, target: &Target) -> Answer<EventConfigInfo> {
        self.with(&target.name, |function| {
            find(function, &target.qualifier)?;
            let found = function.events.iter().find(|info| info.target == *target);
            found.cloned().ok_or(LambdaError::EventConfigNotFound)
        })
    }

    fn event_configs(&self, name: &str) -> Answer<Vec<EventConfigInfo>> {
        self.with(name, |function| Ok(function.events.clone()))
    }

    fn account(&self) -> Account {
        Account {
            code_bytes_max: 1000,
            code_bytes: 7,
            concurrency_max: 100,
            concurrency_unreserved: 90,
            functions: self.functions.lock().len() as u64,
        }
    }

    async fn code(&self, target: &Target) -> Answer<Bytes> {
        self.with(&target.name, |function| find(function, &target.qualifier).map(|_| function.module.clone()))
    }

    async fn object(&self, bucket: &str, key: &str, _bytes_max: usize) -> Answer<Bytes> {
        let found = self.objects.lock().get(&(bucket.to_owned(), key.to_owned())).cloned();
        found.ok_or_else(|| LambdaError::Invalid("The specified key does not exist.".to_owned()))
    }

    async fn create(&self, new: NewFunction) -> Answer<FunctionInfo> {
        if self.functions.lock().contains_key(&new.name) {
            return Err(LambdaError::FunctionExists);
        }
        let latest = FunctionInfo {
            name: new.name.clone(),
            version: None,
            configuration: new.configuration,
            code_sha256: new.code.package_sha256,
            code_bytes: new.code.package_bytes,
            modified_ms: NOW_MS,
            revision_id: self.revision(),
            state: State::Active,
            last_update: LastUpdate::Successful,
        };
        let mut function = Function {
            latest,
            module: new.code.module,
            versions: Vec::new(),
            aliases: BTreeMap::new(),
            events: Vec::new(),
            tags: new.tags,
            reserved: None,
        };
        let info = if new.publish { self.publish_now(&mut function) } else { function.latest.clone() };
        self.functions.lock().insert(new.name, function);
        Ok(info)
    }

    async fn update_code(&self, name: &str, change: CodeChange) -> Answer<FunctionInfo> {
        self.with(name, |function| {
            check_revision(change.revision_id.as_ref(), &function.latest.revision_id)?;
            let mut changed = function.clone();
            changed.module = change.code.module;
            changed.latest.code_sha256 = change.code.package_sha256;
            changed.latest.code_bytes = change.code.package_bytes;
            changed.latest.revision_id = self.revision();
            let info = if change.publish { self.publish_now(&mut changed) } else { changed.latest.clone() };
            if !change.dry_run {
                *function = changed;
            }
            Ok(info)
        })
    }

    async fn update_configuration(&self, name: &str, change: ConfigurationChange) -> Answer<FunctionInfo> {
        self.with(name, |function| {
            check_revision(change.revision_id.as_ref(), &function.latest.revision_id)?;
            let own = &mut function.latest.configuration;
            own.world = change.world.unwrap_or(own.world);
            own.settings = change.settings.unwrap_or_else(|| own.settings.clone());
            own.memory_mb = change.memory_mb.unwrap_or(own.memory_mb);
            own.timeout_s = change.timeout_s.unwrap_or(own.timeout_s);
            own.description = change.description.unwrap_or_else(|| own.description.clone());
            own.role = change.role.unwrap_or_else(|| own.role.clone());
            own.log_group = change.log_group.or_else(|| own.log_group.clone());
            function.latest.revision_id = self.revision();
            Ok(function.latest.clone())
        })
    }

    async fn publish(&self, name: &str, publish: Publish) -> Answer<FunctionInfo> {
        self.with(name, |function| {
            check_revision(publish.revision_id.as_ref(), &function.latest.revision_id)?;
            if publish.code_sha256.is_some_and(|sha256| sha256 != function.latest.code_sha256) {
                return Err(LambdaError::CodeMismatch(function.latest.code_sha256));
            }
            Ok(self.publish_now(function))
        })
    }

    async fn delete(&self, name: &str) -> Answer<()> {
        self.functions.lock().remove(name).map(drop).ok_or(LambdaError::FunctionNotFound)
    }

    async fn delete_version(&self, name: &str, number: u32) -> Answer<()> {
        self.with(name, |function| {
            let pointing = function.aliases.values().filter(|alias| alias.version == number);
            let names: Vec<String> = pointing.map(|alias| alias.name.clone()).collect();
            if !names.is_empty() {
                return Err(LambdaError::VersionInUse(names));
            }
            function.versions.retain(|info| info.version != Some(number));
            Ok(())
        })
    }

    async fn create_alias(&self, name: &str, mut alias: Alias) -> Answer<Alias> {
        self.with(name, |function| {
            check_alias(function, &alias)?;
            if function.aliases.contains_key(&alias.name) {
                return Err(LambdaError::AliasExists);
            }
            alias.revision_id = self.revision();
            function.aliases.insert(alias.name.clone(), alias.clone());
            Ok(alias)
        })
    }

    async fn update_alias(&self, name: &str, alias: &str, change: AliasChange) -> Answer<Alias> {
        self.with(name, |function| {
            let mut changed = function.aliases.get(alias).cloned().ok_or(LambdaError::AliasNotFound)?;
            check_revision(change.revision_id.as_ref(), &changed.revision_id)?;
            changed.version = change.version.unwrap_or(changed.version);
            changed.weights = change.weights.unwrap_or(changed.weights);
            changed.description = change.description.unwrap_or(changed.description);
            check_alias(function, &changed)?;
            changed.revision_id = self.revision();
            function.aliases.insert(alias.to_owned(), changed.clone());
            Ok(changed)
        })
    }

    async fn delete_alias(&self, name: &str, alias: &str) -> Answer<()> {
        self.with(name, |function| {
            function.aliases.remove(alias);
            Ok(())
        })
    }

    async fn invoke(&self, invocation: Invocation) -> Answer<Invoked> {
        let info = self.function(&invocation.target)?;
        let function_error = invocation.payload.starts_with(b"[");
        let payload = if function_error {
            Bytes::from_static(br#"{"errorMessage":"no","errorType":"Error"}"#)
        } else {
            invocation.payload.clone()
        };
        self.invoked.lock().push(invocation);
        Ok(Invoked { version: info.version, payload, function_error, log: Bytes::from(vec![b'x'; 5000]) })
    }

    async fn enqueue(&self, invocation: Invocation) -> Answer<()> {
        self.function(&invocation.target)?;
        self.enqueued.lock().push(invocation);
        Ok(())
    }

    async fn check_invocation(&self, target: &Target) -> Answer<()> {
        self.function(target).map(drop)
    }

    async fn put_event_config(&self, target: &Target, config: EventConfig) -> Answer<EventConfigInfo> {
        self.with(&target.name, |function| {
            find(function, &target.qualifier)?;
            let info = EventConfigInfo { target: target.clone(), config, modified_ms: NOW_MS };
            function.events.retain(|info| info.target != *target);
            function.events.push(info.clone());
            Ok(info)
        })
    }

    async fn delete_event_config(&self, target: &Target) -> Answer<()> {
        self.event_config(target)?;
        self.with(&target.name, |function| {
            function.events.retain(|info| info.target != *target);
            Ok(())
        })
    }

    async fn put_concurrency(&self, name: &str, reserved: Option<u32>) -> Answer<()> {
        self.with(name, |function| {
            function.reserved = reserved;
            Ok(())
        })
    }

    async fn tag(&self, name: &str, tags: BTreeMap<String, String>) -> Answer<()> {
        self.with(name, |function| {
            function.tags.extend(tags);
            Ok(())
        })
    }

    async fn untag(&self, name: &str, keys: Vec<String>) -> Answer<()> {
        self.with(name, |function| {
            function.tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }
}
