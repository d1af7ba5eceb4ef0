//! Imports a function of the file system, which nobody grants: the deploy is refused by its name.

use millrace_sdk::{Outcome, Record};

#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn path_open(
        directory: i32,
        flags: i32,
        path: *const u8,
        path_len: usize,
        open_flags: i32,
        rights: i64,
        inherited: i64,
        fd_flags: i32,
        opened: *mut i32,
    ) -> i32;
}

#[millrace_sdk::transform]
fn file_system(record: Record) -> Outcome {
    #[cfg(target_arch = "wasm32")]
    {
        let (path, mut opened) = ("/etc/passwd", 0);
        // SAFETY: the path and the result outlive the call. It is never made: the import is refused.
        let error = unsafe { path_open(3, 0, path.as_ptr(), path.len(), 0, 2, 0, 0, &mut opened) };
        if error != 0 {
            return Outcome::failed(format!("error {error}"));
        }
    }
    Outcome::changed(record.bytes())
}
