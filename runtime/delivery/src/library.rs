//! What a lane sees of functions: the one that a batch is to be run by, ready to be called.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_functions::{Error, Functions, Live, Permit};
use millrace_transform::{BatchSource, Ran};
use millrace_types::Batch;

use crate::status::Trouble;

/// A function that is ready to be called.
pub(crate) trait Transform: Send + Sync + std::fmt::Debug {
    /// Runs over a batch on this thread; see `millrace_transform::Function::run`.
    fn run(&self, batch: &Batch, retries: u32, source: &Arc<BatchSource>) -> Ran;
}

/// A function, and which revision it is.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) revision: u32,
    pub(crate) function: Arc<dyn Transform>,
}

/// Where lanes find functions.
#[async_trait]
pub(crate) trait Library: Send + Sync + std::fmt::Debug {
    /// The function that one batch is to be run by: behind an alias with two versions one of them is drawn.
    async fn get(self: Arc<Self>, name: &str, qualifier: Option<&str>) -> Result<Called, Trouble>;

    /// The revision that made an object, under the version that it had behind `qualifier`; `$LATEST` where it is
    /// not kept any more.
    async fn again(self: Arc<Self>, name: &str, qualifier: Option<&str>, revision: u32) -> Result<Called, Trouble>;

    /// Shows a batch and what was made of it to the function's shadow. Returns at once.
    fn shadow(self: Arc<Self>, name: &str, batch: &Batch, ran: &Arc<Ran>, source: &Arc<BatchSource>);
}

#[async_trait]
impl Library for Functions {
    async fn get(self: Arc<Self>, name: &str, qualifier: Option<&str>) -> Result<Called, Trouble> {
        let (resolved, live, permit) =
            self.for_batch(name, qualifier).await.map_err(|error| trouble(name, qualifier, &error))?;
        let revision = resolved.revision.number;
        Ok(Called { revision, function: Arc::new(Ready { live, version: resolved.version, _permit: permit }) })
    }

    async fn again(self: Arc<Self>, name: &str, qualifier: Option<&str>, revision: u32) -> Result<Called, Trouble> {
        let Some(found) = self.revision(name, revision) else { return self.get(name, None).await };
        let failed = |error| trouble(name, None, &error);
        let permit = self.wait_permit(name).await.map_err(failed)?;
        let live = self.live(&found).await.map_err(failed)?;
        let version = self.version_seen(name, qualifier, revision);
        Ok(Called { revision, function: Arc::new(Ready { live, version, _permit: permit }) })
    }

    fn shadow(self: Arc<Self>, name: &str, batch: &Batch, ran: &Arc<Ran>, source: &Arc<BatchSource>) {
        Functions::shadow(&self, name, batch, ran, source);
    }
}

/// A function in memory with its place among the calls that may run; both go when the batch is done.
#[derive(Debug)]
struct Ready {
    live: Arc<Live>,
    /// The published version, or `$LATEST`.
    version: String,
    _permit: Permit,
}

impl Transform for Ready {
    fn run(&self, batch: &Batch, retries: u32, source: &Arc<BatchSource>) -> Ran {
        let source = BatchSource {
            function_name: self.live.revision.function.clone(),
            function_version: self.version.clone(),
            ..(**source).clone()
        };
        self.live.run(batch, retries, &Arc::new(source))
    }
}

fn trouble(name: &str, qualifier: Option<&str>, error: &Error) -> Trouble {
    let text = millrace_types::chain(error);
    match error {
        Error::NotFound(_) => {
            let qualifier = qualifier.map_or_else(String::new, |q| format!(":{q}"));
            Trouble::new(
                "Lambda.ResourceNotFoundException",
                format!("the function {name}{qualifier} is not deployed: `millrace deploy {name} FILE.wasm`"),
            )
        }
        Error::Throttled(_) => Trouble::new(
            "Lambda.TooManyRequestsException",
            format!("the function {name} has a reserved concurrency of 0: raise it, or remove it"),
        ),
        _ => Trouble::new("Lambda.InitFailed", text),
    }
}
