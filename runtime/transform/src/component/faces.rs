//! What a binary shows to the outside: its imports, its exports, and the world that these make.

use wasmparser::{CanonicalFunction, CanonicalOption, ComponentExternalKind, Encoding, ExternalKind, Parser, Payload};

use super::World;
use super::grants::Import;
use crate::{Error, abi};

/// Exports that a refusal names.
const EXPORTS_NAMED_MAX: usize = 10;

/// What a binary shows to the outside.
#[derive(Default)]
pub(super) struct Faces {
    pub(super) imports: Vec<Import>,
    /// Names, and whether they are functions.
    exports: Vec<(String, bool)>,
    /// Functions are lifted or lowered by the asynchronous canonical ABI.
    is_async: bool,
    /// A core module says itself what component it makes.
    pub(super) is_typed: bool,
}

impl Faces {
    pub(super) fn of_component(bytes: &[u8]) -> Result<Self, Error> {
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
                Payload::ComponentCanonicalSection(section) => {
                    for function in section {
                        faces.is_async |= is_async(&function.map_err(not_wasm)?);
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

    /// Of a core module only the exports that name a world are read: the others are its own business.
    pub(super) fn of_core_module(bytes: &[u8]) -> Result<Self, Error> {
        let mut faces = Self::default();
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
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(not_wasm)?;
                        if [abi::TRANSFORM, abi::HANDLE].contains(&export.name) {
                            faces.exports.push((export.name.to_owned(), export.kind == ExternalKind::Func));
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    faces.is_typed |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok(faces.sorted())
    }

    fn sorted(mut self) -> Self {
        self.imports.sort();
        self.imports.dedup();
        self
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.imports.iter().map(Import::name).collect()
    }

    /// The world, by what is exported: either function, not both.
    pub(super) fn world(&self) -> Result<World, Error> {
        let is_function = |wanted: &str| self.exports.iter().find(|(name, _)| name == wanted).map(|(_, is)| *is);
        match (is_function(abi::TRANSFORM), is_function(abi::HANDLE)) {
            (Some(true), None) => Ok(World::Transform),
            (None, Some(true)) => Ok(World::Handler),
            (Some(_), Some(_)) => Err(Error::World("it exports both; a function is of one world".to_owned())),
            (Some(false), None) | (None, Some(false)) => Err(Error::World("the export is not a function".to_owned())),
            (None, None) if self.exports.is_empty() => Err(Error::World("it exports nothing".to_owned())),
            (None, None) => {
                let names: Vec<&str> =
                    self.exports.iter().map(|(name, _)| name.as_str()).take(EXPORTS_NAMED_MAX).collect();
                Err(Error::World(format!("it exports {}", names.join(", "))))
            }
        }
    }

    /// The world of a core module without a component type: stock Go leaves none.
    pub(super) fn untyped_world(&self) -> Result<World, Error> {
        if self.exports.is_empty() {
            let text = "the module carries no component type; build it with an SDK or with wit-bindgen";
            return Err(Error::World(text.to_owned()));
        }
        self.world()
    }

    /// Refuses what was made for another host, in one sentence, before its imports are named one by one.
    pub(super) fn refuse_foreign(&self) -> Result<(), Error> {
        if self.is_async {
            return Err(Error::World(
                "it uses asynchronous functions (WASI 0.3); build it for WASI 0.2 or without WASI".to_owned(),
            ));
        }
        let imported = self.imports.iter().map(|import| import.interface.as_str());
        for name in imported.chain(self.exports.iter().map(|(name, _)| name.as_str())) {
            let (interface, version) = name.split_once('@').unwrap_or((name, ""));
            if interface.starts_with("wasi:") && version.starts_with("0.3") {
                return Err(Error::World(format!(
                    "it needs WASI 0.3 (`{name}`), functions have WASI 0.2: build it for that, or without WASI"
                )));
            }
            let ours = interface.starts_with("millrace:");
            if ours && (version != abi::VERSION || !interface.starts_with("millrace:transform/")) {
                return Err(Error::World(format!(
                    "it is built for `{name}`; build it with an SDK of this release, for millrace:transform@{}",
                    abi::VERSION
                )));
            }
        }
        let exports = |start: &str| self.exports.iter().any(|(name, _)| name.starts_with(start));
        let is_ours = [abi::TRANSFORM, abi::HANDLE].iter().any(|name| exports(name));
        if !is_ours && exports("wasi:http/") {
            return Err(Error::World(
                "it is a component of wasi:http/proxy, which is not called over HTTP here".to_owned(),
            ));
        }
        if !is_ours && exports("wasi:cli/run") {
            return Err(Error::World(
                "it is a program of wasi:cli/command; export a function instead of `main`".to_owned(),
            ));
        }
        Ok(())
    }
}

fn is_async(function: &CanonicalFunction) -> bool {
    let options = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options,
        _ => return false,
    };
    options.iter().any(|option| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_)))
}

pub(super) fn not_wasm(error: wasmparser::BinaryReaderError) -> Error {
    Error::NotWasm(error.to_string())
}
