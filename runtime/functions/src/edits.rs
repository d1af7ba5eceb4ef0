//! Edits of what stands around a function's code: versions taken out, concurrency, tags, events, a shadow.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_catalog::{EventConfig, FunctionEdit, Shadow};

use crate::calls::{CONCURRENCY_MAX, UNRESERVED_MIN};
use crate::resolve::LATEST;
use crate::{Error, Functions};

/// Tags of one function.
const TAGS_MAX: usize = 50;

impl Functions {
    /// Deletes a function whole, or one published version of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::VersionInUse`].
    pub async fn delete(self: &Arc<Self>, name: &str, qualifier: Option<&str>) -> Result<(), Error> {
        match qualifier {
            None => {
                self.function(name)?;
                let (functions, gone) = (Arc::clone(self), name.to_owned());
                // All of it, also when nobody waits for the end.
                millrace_tasks::blocking(move || functions.delete_blocking(&gone)).await?;
            }
            Some(LATEST) => {
                return Err(Error::invalid(
                    "request.invalid",
                    "$LATEST version cannot be deleted without deleting the function.",
                ));
            }
            Some(qualifier) => {
                let missing = Error::NotFound(format!("Function not found: {}:{qualifier}", self.arn(name)));
                let Ok(version) = qualifier.parse::<u32>() else { return Err(missing) };
                self.edit(name, move |edit| {
                    let named = |alias: &millrace_catalog::Alias| {
                        alias.version == version || alias.canary.is_some_and(|(canary, _)| canary == version)
                    };
                    let aliases: Vec<String> =
                        edit.function.aliases.iter().filter(|(_, a)| named(a)).map(|(name, _)| name.clone()).collect();
                    if !aliases.is_empty() {
                        return Err(Error::VersionInUse { version, aliases });
                    }
                    edit.function.versions.remove(&version).ok_or(missing)?;
                    edit.function.event_configs.remove(&version.to_string());
                    edit.function.shadow.take_if(|shadow| shadow.version == Some(version));
                    for alias in edit.function.aliases.values_mut() {
                        alias.before.retain(|before| *before != version);
                    }
                    Ok(())
                })
                .await?;
            }
        }
        let functions = Arc::clone(self);
        millrace_tasks::blocking(move || functions.collect_files()).await;
        Ok(())
    }

    /// Deletes a function whole, but for its files.
    pub(crate) fn delete_blocking(&self, name: &str) -> Result<(), Error> {
        let gone = self.catalog.remove_function(name)?;
        let forgotten = self.state.forget(&gone.owner()).map_err(Error::from);
        self.loaded.forget(name);
        self.meters.forget(name);
        self.logs.forget(name);
        self.shadows.forget(name);
        self.calls.lock().remove(name);
        self.count_reserved();
        self.tell_change();
        forgotten
    }

    /// Sets or clears the reserved concurrency.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] when too little would be left for the others.
    pub async fn set_concurrency(self: &Arc<Self>, name: &str, reserved: Option<u32>) -> Result<(), Error> {
        let functions = Arc::clone(self);
        self.edit(name, move |edit| {
            // Nothing else changes while an edit runs: what the others have is what they will have.
            let all = functions.catalog.snapshot();
            let others = all.functions().filter(|other| other.name != edit.function.name);
            let others: u32 = others.filter_map(|other| other.reserved_concurrency).sum();
            if reserved.is_some_and(|reserved| reserved.saturating_add(others) > CONCURRENCY_MAX - UNRESERVED_MIN) {
                return Err(Error::invalid(
                    "request.invalid",
                    format!(
                        "Specified ReservedConcurrentExecutions for function decreases account's \
                         UnreservedConcurrentExecution below its minimum value of [{UNRESERVED_MIN}]."
                    ),
                ));
            }
            edit.function.reserved_concurrency = reserved;
            Ok(())
        })
        .await?;
        self.calls_of(name, reserved);
        self.count_reserved();
        Ok(())
    }

    /// Adds tags, and removes those of the names `gone`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`] for more than 50.
    pub async fn tag(
        self: &Arc<Self>,
        name: &str,
        tags: BTreeMap<String, String>,
        gone: Vec<String>,
    ) -> Result<(), Error> {
        self.edit(name, move |edit| {
            edit.function.tags.extend(tags);
            edit.function.tags.retain(|key, _| !gone.contains(key));
            if edit.function.tags.len() > TAGS_MAX {
                return Err(Error::invalid("request.invalid", format!("A function can have at most {TAGS_MAX} tags")));
            }
            Ok(())
        })
        .await
    }

    /// Sets or clears how asynchronous invocations of a qualifier are treated.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such function or qualifier.
    pub async fn set_event_config(
        self: &Arc<Self>,
        name: &str,
        qualifier: &str,
        config: Option<EventConfig>,
    ) -> Result<(), Error> {
        if config.is_some() {
            self.resolve(name, Some(qualifier))?;
        }
        let qualifier = qualifier.to_owned();
        self.edit(name, move |edit| match config {
            Some(config) => {
                edit.function.event_configs.insert(qualifier, config);
                Ok(())
            }
            None => {
                let removed = edit.function.event_configs.remove(&qualifier);
                removed.map(drop).ok_or(Error::EventConfigNotFound(qualifier))
            }
        })
        .await
    }

    /// Starts or ends a shadow.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such function or version, [`Error::Invalid`] for a share out of range.
    pub async fn set_shadow(self: &Arc<Self>, name: &str, shadow: Option<Shadow>) -> Result<(), Error> {
        if let Some(shadow) = &shadow {
            if !(shadow.share > 0.0 && shadow.share <= 1.0) {
                return Err(Error::invalid("function.shadow", "a shadow's share is above 0 and up to 100 percent"));
            }
            let version = shadow.version.map(|version| version.to_string());
            self.resolve(name, version.as_deref())?.ready()?;
        }
        let started = shadow.is_some();
        self.edit(name, move |edit| {
            edit.function.shadow = shadow;
            Ok(())
        })
        .await?;
        if started {
            self.shadows.forget(name);
        }
        Ok(())
    }

    /// One transaction over a function, off the async threads; then everybody is told.
    pub(crate) async fn edit<T: Send + 'static>(
        self: &Arc<Self>,
        name: &str,
        edit: impl FnOnce(&mut FunctionEdit) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.function(name)?;
        let (functions, name) = (Arc::clone(self), name.to_owned());
        let answer = millrace_tasks::blocking(move || {
            functions.catalog.edit_function(&name, |change| {
                let answer = edit(change)?;
                functions.drop_unused(change);
                Ok::<T, Error>(answer)
            })
        })
        .await?;
        self.tell_change();
        Ok(answer)
    }
}
