//! The module in a package: a zip with exactly one `.wasm`, or the bare module. What unpacks into too
//! much, climbs out of its folder or holds anything else is refused by its name.

use std::io::{Cursor, Read};

use bytes::Bytes;
use memchr::memmem;
use millrace_types::{KIB, MIB};
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::backend::Code;
use crate::error::ApiError;
use crate::settings::{DECOMPRESSION_RATIO_MAX, MODULE_BYTES_MAX, RATIO_FREE_BYTES};

/// Bytes of a package as it is sent: the service's own limit for zips.
pub(super) const PACKAGE_BYTES_MAX: usize = 50 * MIB;
/// Entries of a zip, folders among them.
const ENTRIES_MAX: usize = 256;
/// Bytes that are unpacked between two looks at the limits.
const CHUNK_BYTES: usize = 64 * KIB;
/// Characters of an entry's name that an error shows.
const NAME_CHARS_SHOWN: usize = 80;

const WASM_MAGIC: &[u8] = b"\0asm";
/// Of the first entry, or of the end of a zip without entries.
const ZIP_MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// Before each entry of a zip's directory.
const DIRECTORY_ENTRY_MAGIC: &[u8] = b"PK\x01\x02";

/// Limits of what comes out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the module.
    pub(super) bytes_max: usize,
    /// Unpacked bytes for each packed one, once `ratio_free_bytes` are out.
    pub(super) ratio_max: usize,
    pub(super) ratio_free_bytes: usize,
}

const LIMITS: Limits =
    Limits { bytes_max: MODULE_BYTES_MAX, ratio_max: DECOMPRESSION_RATIO_MAX, ratio_free_bytes: RATIO_FREE_BYTES };

/// Takes the module out of a package. Works long: not for the async threads.
///
/// # Errors
/// As the module says.
pub(super) fn open(package: Bytes) -> Result<Code, ApiError> {
    if package.len() > PACKAGE_BYTES_MAX {
        return Err(ApiError::invalid(format!("Zipped size must be smaller than {PACKAGE_BYTES_MAX} bytes")));
    }
    let (package_sha256, package_bytes) = (Sha256::digest(&package).into(), package.len() as u64);
    let module = if package.starts_with(WASM_MAGIC) {
        package
    } else if ZIP_MAGICS.iter().any(|magic| package.starts_with(magic)) {
        unpacked(&package, LIMITS)?.into()
    } else {
        return Err(bad("it is neither a zip nor a WebAssembly module"));
    };
    Ok(Code { module, package_sha256, package_bytes })
}

fn bad(why: &str) -> ApiError {
    ApiError::slugged(
        crate::error::Code::InvalidArgument,
        "function.package",
        format!("Could not unzip uploaded file. Please check your file, then try to upload again: {why}"),
    )
}

/// The module in a zip.
///
/// # Errors
/// As the module says.
pub(super) fn unpacked(package: &[u8], limits: Limits) -> Result<Vec<u8>, ApiError> {
    // Counted before the directory is read, which takes memory for each entry.
    if memmem::find_iter(package, DIRECTORY_ENTRY_MAGIC).take(ENTRIES_MAX + 1).count() > ENTRIES_MAX {
        return Err(bad(&format!("it has more than {ENTRIES_MAX} entries")));
    }
    let mut zip = ZipArchive::new(Cursor::new(package)).map_err(|error| bad(&error.to_string()))?;
    let mut found = None;
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(|error| bad(&error.to_string()))?;
        let name = entry_name(&entry)?;
        if entry.is_dir() {
            continue;
        }
        if !name.to_ascii_lowercase().ends_with(".wasm") {
            return Err(bad(&format!(
                "it holds {} besides a module: a function is one .wasm and nothing else",
                shown(&name)
            )));
        }
        if let Some((_, first)) = found.replace((index, name.clone())) {
            return Err(bad(&format!("it holds two modules, {} and {}: send one", shown(&first), shown(&name))));
        }
    }
    let Some((index, name)) = found else { return Err(bad("it holds no .wasm")) };
    let entry = zip.by_index(index).map_err(|error| bad(&format!("{}: {error}", shown(&name))))?;
    let packed_bytes = usize::try_from(entry.compressed_size()).unwrap_or(usize::MAX);
    let module = read(entry, packed_bytes.min(package.len()), &name, limits)?;
    if !module.starts_with(WASM_MAGIC) {
        return Err(bad(&format!("{} is no WebAssembly module", shown(&name))));
    }
    Ok(module)
}

/// The entry's name, when it stays in its folder and is a plain file or folder.
fn entry_name<R: Read + ?Sized>(entry: &ZipFile<'_, R>) -> Result<String, ApiError> {
    let name = entry.name().map_err(|error| bad(&format!("a name cannot be read: {error}")))?.into_owned();
    let climbs = name.starts_with('/')
        || name.contains(['\\', '\0'])
        || name.split('/').any(|part| part == "..")
        || name.as_bytes().get(1) == Some(&b':');
    if climbs {
        return Err(bad(&format!("{} is a path that leads out of the package", shown(&name))));
    }
    if entry.is_symlink() {
        return Err(bad(&format!("{} is a link", shown(&name))));
    }
    if entry.encrypted() {
        return Err(bad(&format!("{} is encrypted", shown(&name))));
    }
    Ok(name)
}

fn read(mut entry: impl Read, packed_bytes: usize, name: &str, limits: Limits) -> Result<Vec<u8>, ApiError> {
    let mut module = Vec::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        // A zip that lies about its sizes is found out here: nothing of its directory is believed.
        let bytes = entry.read(&mut chunk).map_err(|error| bad(&format!("{}: {error}", shown(name))))?;
        if bytes == 0 {
            return Ok(module);
        }
        let length = module.len() + bytes;
        if length > limits.bytes_max {
            return Err(ApiError::invalid(format!("Unzipped size must be smaller than {} bytes", limits.bytes_max)));
        }
        if length > limits.ratio_free_bytes && length > packed_bytes.saturating_mul(limits.ratio_max) {
            return Err(bad(&format!("{} grows more than {}-fold", shown(name), limits.ratio_max)));
        }
        module.extend_from_slice(chunk.get(..bytes).unwrap_or_default());
    }
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS_SHOWN).map(|c| if c.is_control() { '?' } else { c }).collect()
}
