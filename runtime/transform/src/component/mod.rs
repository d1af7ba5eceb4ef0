//! From what a user deploys to a component: core modules are wrapped, WASI preview 1 is adapted, and
//! every import that was not granted is refused by its name.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

use crate::{Error, abi};

/// Bounds on what is deployed.
#[derive(Debug, Clone)]
pub struct DeployLimits {
    /// Bytes of the module or component.
    pub module_bytes_max: usize,
}

impl Default for DeployLimits {
    fn default() -> Self {
        Self { module_bytes_max: 64 * millrace_types::MIB }
    }
}

/// A component whose imports were judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The component.
    pub bytes: Vec<u8>,
    /// What the user's module imports, by name: interfaces of the component, functions of preview 1.
    pub imports: Vec<String>,
}

/// Interfaces that every function is granted, without their versions. The types come with the world.
const GRANTED: [&str; 5] = [
    "millrace:transform/types",
    "millrace:transform/log",
    "millrace:transform/settings",
    "millrace:transform/clock",
    "millrace:transform/random",
];
/// Packages of WASI 0.2 that language runtimes need to start; their contents are empty (see `wasi`).
const GRANTED_PACKAGES: [&str; 4] = ["wasi:cli", "wasi:clocks", "wasi:random", "wasi:io"];

/// Functions of WASI preview 1 without a path, a directory or a socket.
const GRANTED_PREVIEW1: [&str; 24] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_filestat_get",
    "fd_pread",
    "fd_pwrite",
    "fd_read",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

/// Makes a component of `bytes`, a core module or a component. Deploying runs this in the compiling
/// child process (see [`Compiler`](crate::Compiler)): a hostile module meets no thread of the server.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::NotWasm`], [`Error::Imports`] with all names, [`Error::NoTransform`].
pub fn componentize(bytes: &[u8], limits: &DeployLimits) -> Result<Component, Error> {
    if bytes.len() > limits.module_bytes_max {
        return Err(Error::TooLarge { bytes: bytes.len(), max: limits.module_bytes_max });
    }
    if Parser::is_component(bytes) {
        let faces = Faces::of_component(bytes)?;
        refuse_ungranted(&faces.imports)?;
        faces.must_export_transform()?;
        return Ok(Component { bytes: bytes.to_vec(), imports: faces.names() });
    }
    if !Parser::is_core_wasm(bytes) {
        return Err(Error::NotWasm("it does not begin as one".to_owned()));
    }
    let core = Faces::of_core_module(bytes)?;
    refuse_ungranted(&core.imports)?;
    let component = encode(bytes)?;
    Faces::of_component(&component)?.must_export_transform()?;
    Ok(Component { bytes: component, imports: core.names() })
}

fn encode(module: &[u8]) -> Result<Vec<u8>, Error> {
    let refused = |error: anyhow::Error| {
        let text = format!("{error:#}");
        if text.contains("transform") { Error::NoTransform(text) } else { Error::NotWasm(text) }
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

/// One import: its module or interface, and the function where that decides.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    interface: String,
    item: Option<String>,
}

impl Import {
    fn name(&self) -> String {
        match &self.item {
            Some(item) => format!("{}.{item}", self.interface),
            None => self.interface.clone(),
        }
    }

    fn is_granted(&self) -> bool {
        if self.interface == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
            return self.item.as_deref().is_some_and(|item| GRANTED_PREVIEW1.contains(&item));
        }
        // What wit-bindgen imports for resources and exports of the component itself.
        if self.interface == "$root" || self.interface.starts_with("[export]") {
            return true;
        }
        let bare = self.interface.split('@').next().unwrap_or_default();
        let package = bare.split('/').next().unwrap_or_default();
        GRANTED.contains(&bare) || GRANTED_PACKAGES.contains(&package)
    }
}

fn refuse_ungranted(imports: &[Import]) -> Result<(), Error> {
    let refused: Vec<String> = imports.iter().filter(|import| !import.is_granted()).map(Import::name).collect();
    if refused.is_empty() { Ok(()) } else { Err(Error::Imports(refused)) }
}

/// What a binary shows to the outside.
#[derive(Default)]
struct Faces {
    imports: Vec<Import>,
    exports: Vec<(String, bool)>,
}

impl Faces {
    fn of_component(bytes: &[u8]) -> Result<Self, Error> {
        let mut faces = Self::default();
        // Modules and components inside have imports of their own, given by the outer one.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(not_wasm)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let import = import.map_err(not_wasm)?;
                        // Types of the world itself are imported by their bare name, and are not a power.
                        if !matches!(import.ty, wasmparser::ComponentTypeRef::Type(_)) {
                            faces.imports.push(Import { interface: import.name.name.to_owned(), item: None });
                        }
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let export = export.map_err(not_wasm)?;
                        let is_function = export.kind == ComponentExternalKind::Func;
                        faces.exports.push((export.name.name.to_owned(), is_function));
                    }
                }
                _ => {}
            }
        }
        Ok(faces.sorted())
    }

    fn of_core_module(bytes: &[u8]) -> Result<Self, Error> {
        let mut faces = Self::default();
        let mut has_component_type = false;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(not_wasm)? {
                Payload::Version { encoding: Encoding::Component, .. } => {
                    return Err(Error::NotWasm("a component inside a core module".to_owned()));
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(not_wasm)?;
                        let module = import.module.strip_prefix("cm32p2|").unwrap_or(import.module);
                        // Below an interface the functions are the interface's.
                        let item = (!module.contains(':')).then(|| import.name.to_owned());
                        faces.imports.push(Import { interface: module.to_owned(), item });
                    }
                }
                Payload::CustomSection(section) => {
                    has_component_type |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        let faces = faces.sorted();
        if !has_component_type {
            // The imports are judged first: they say more about what was built.
            refuse_ungranted(&faces.imports)?;
            return Err(Error::NoTransform(
                "the module carries no component type; build it with an SDK or with wit-bindgen".to_owned(),
            ));
        }
        Ok(faces)
    }

    fn sorted(mut self) -> Self {
        self.imports.sort();
        self.imports.dedup();
        self
    }

    fn names(&self) -> Vec<String> {
        self.imports.iter().map(Import::name).collect()
    }

    fn must_export_transform(&self) -> Result<(), Error> {
        match self.exports.iter().find(|(name, _)| name == abi::TRANSFORM) {
            Some((_, true)) => Ok(()),
            Some((_, false)) => Err(Error::NoTransform("the export is not a function".to_owned())),
            None if self.exports.is_empty() => Err(Error::NoTransform("it exports nothing".to_owned())),
            None => {
                let names: Vec<&str> = self.exports.iter().map(|(name, _)| name.as_str()).take(10).collect();
                Err(Error::NoTransform(format!("it exports {}", names.join(", "))))
            }
        }
    }
}

fn not_wasm(error: wasmparser::BinaryReaderError) -> Error {
    Error::NotWasm(error.to_string())
}

#[cfg(test)]
mod tests;
