//! What a module may import: what everyone is granted, and what a grant of its own allows.

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;

use crate::Error;

/// Interfaces that every function is granted, without their versions. The types come with the world.
const GRANTED: [&str; 6] = [
    "millrace:transform/types",
    "millrace:transform/log",
    "millrace:transform/settings",
    "millrace:transform/clock",
    "millrace:transform/random",
    "millrace:transform/invocation",
];
/// Interfaces that are there only with a grant.
const HTTP: &str = "millrace:transform/http";
const KEY_VALUE: &str = "millrace:transform/key-value";
/// Packages of WASI 0.2 that language runtimes need to start; their contents are empty (see `wasi`).
const GRANTED_PACKAGES: [&str; 4] = ["wasi:cli", "wasi:clocks", "wasi:random", "wasi:io"];

/// Functions of WASI preview 1 without a path, a directory or a socket, and the two that ask which
/// directories are open: every program in Go does when it starts, and is told none.
const GRANTED_PREVIEW1: [&str; 26] = [
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
    "fd_prestat_dir_name",
    "fd_prestat_get",
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

/// What a function may use beyond what everyone is granted. Grants belong to a revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Hosts that it may send HTTP requests to; with none it may not import `millrace:transform/http`.
    pub http_hosts: Vec<String>,
    /// May import `millrace:transform/key-value`.
    pub key_value: bool,
}

impl Grants {
    /// Holds the imports of a module that [`componentize`](crate::componentize) has taken (see
    /// [`Component::imports`](crate::Component::imports)) against these grants: for a module whose
    /// grants change later.
    ///
    /// # Errors
    /// [`Error::Imports`] with the names of all interfaces that need a grant which is not here.
    pub fn judge(&self, imports: &[String]) -> Result<(), Error> {
        refused(imports.iter().filter(|name| self.allows(bare(name)) == Some(false)).cloned().collect())
    }

    /// Whether an interface that needs a grant has it; none for what needs no grant or has no such name.
    fn allows(&self, bare: &str) -> Option<bool> {
        match bare {
            HTTP => Some(!self.http_hosts.is_empty()),
            KEY_VALUE => Some(self.key_value),
            _ => None,
        }
    }
}

/// What to do about refused imports, to stand behind their names; empty when no grant would help.
pub(crate) fn next_step(names: &[String]) -> &'static str {
    let has = |interface: &str| names.iter().any(|name| bare(name) == interface);
    match (has(HTTP), has(KEY_VALUE)) {
        (true, true) => {
            "; allow them with `http = [\"HOST\"]` and `key_value = true` under `[grants]` in millrace.toml"
        }
        (true, false) => "; name the hosts that it may reach: `http = [\"HOST\"]` under `[grants]` in millrace.toml",
        (false, true) => "; allow it with `key_value = true` under `[grants]` in millrace.toml",
        (false, false) => "",
    }
}

/// One import: its module or interface, and the function where that decides.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    pub(super) interface: String,
    pub(super) item: Option<String>,
}

impl Import {
    pub(super) fn name(&self) -> String {
        match &self.item {
            Some(item) => format!("{}.{item}", self.interface),
            None => self.interface.clone(),
        }
    }

    fn is_granted(&self, grants: &Grants) -> bool {
        if self.interface == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME {
            return self.item.as_deref().is_some_and(|item| GRANTED_PREVIEW1.contains(&item));
        }
        // What wit-bindgen imports for resources and exports of the component itself.
        if self.interface == "$root" || self.interface.starts_with("[export]") {
            return true;
        }
        let bare = bare(&self.interface);
        let package = bare.split('/').next().unwrap_or_default();
        grants.allows(bare).unwrap_or_else(|| GRANTED.contains(&bare) || GRANTED_PACKAGES.contains(&package))
    }
}

/// Refuses every import that is not granted, by name.
pub(super) fn refuse_ungranted(imports: &[Import], grants: &Grants) -> Result<(), Error> {
    refused(imports.iter().filter(|import| !import.is_granted(grants)).map(Import::name).collect())
}

fn refused(names: Vec<String>) -> Result<(), Error> {
    if names.is_empty() { Ok(()) } else { Err(Error::Imports(names)) }
}

/// The interface's name without its version.
fn bare(interface: &str) -> &str {
    interface.split('@').next().unwrap_or_default()
}
