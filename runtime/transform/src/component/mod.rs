//! From what a user deploys to a component: core modules are typed and wrapped, WASI preview 1 is
//! adapted, the world is judged, and every import that was not granted is refused by its name.

mod faces;
mod grants;
mod typed;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::Parser;
use wit_component::ComponentEncoder;

use crate::{Error, abi};
use faces::Faces;
use grants::refuse_ungranted;

pub use grants::Grants;
pub(crate) use grants::next_step;

/// Bounds on what is deployed.
#[derive(Debug, Clone)]
pub struct DeployLimits {
    /// Bytes of the module or component.
    pub module_bytes_max: usize,
    /// What it may import beyond what everyone is granted; nothing by default.
    pub grants: Grants,
}

impl Default for DeployLimits {
    fn default() -> Self {
        Self { module_bytes_max: 64 * millrace_types::MIB, grants: Grants::default() }
    }
}

/// A world of `wit/transform/world.wit`: what a function is called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// Exports `transform`, over packed batches.
    Transform,
    /// Exports `handle`, over one event.
    Handler,
}

impl World {
    /// Its name in the WIT package.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Handler => "handler",
        }
    }

    /// The function that a module of this world exports.
    pub(crate) const fn export(self) -> &'static str {
        match self {
            Self::Transform => abi::TRANSFORM,
            Self::Handler => abi::HANDLE,
        }
    }

    /// The world of that name, as [`Self::name`] gives it.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Transform, Self::Handler].into_iter().find(|world| world.name() == name)
    }
}

/// A component whose world and imports were judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The component.
    pub bytes: Vec<u8>,
    /// What it is called with.
    pub world: World,
    /// What the user's module imports, by name: interfaces of the component, functions of preview 1.
    pub imports: Vec<String>,
}

/// Makes a component of `bytes`, a core module or a component. Deploying runs this in the compiling
/// child process (see [`Compiler`](crate::Compiler)): a hostile module meets no thread of the server.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::NotWasm`], [`Error::World`], [`Error::Imports`] with all names.
pub fn componentize(bytes: &[u8], limits: &DeployLimits) -> Result<Component, Error> {
    if bytes.len() > limits.module_bytes_max {
        return Err(Error::TooLarge { bytes: bytes.len(), max: limits.module_bytes_max });
    }
    if Parser::is_component(bytes) {
        let faces = Faces::of_component(bytes)?;
        faces.refuse_foreign()?;
        refuse_ungranted(&faces.imports, &limits.grants)?;
        return Ok(Component { bytes: bytes.to_vec(), world: faces.world()?, imports: faces.names() });
    }
    if !Parser::is_core_wasm(bytes) {
        return Err(Error::NotWasm("it does not begin as one".to_owned()));
    }
    let core = Faces::of_core_module(bytes)?;
    core.refuse_foreign()?;
    refuse_ungranted(&core.imports, &limits.grants)?;
    let component = if core.is_typed { encode(bytes)? } else { encode(&typed::typed(bytes, core.untyped_world()?)?)? };
    let faces = Faces::of_component(&component)?;
    faces.refuse_foreign()?;
    Ok(Component { bytes: component, world: faces.world()?, imports: core.names() })
}

fn encode(module: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |error: anyhow::Error| {
        let text = format!("{error:#}");
        // What it does not export as its component type says.
        if text.contains("export") { Error::World(text) } else { Error::NotWasm(text) }
    };
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| {
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
        })
        .and_then(|mut encoder| encoder.encode())
        .map_err(refused)
}

#[cfg(test)]
mod tests;
