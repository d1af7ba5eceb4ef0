//! The corpus: each module with what it does and what must happen.

mod abi;
mod calls;
mod cpu;
mod memory;
mod output;
mod shape;
mod wasi;

/// A hostile module.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name: that of the function, of the row in `docs/isolation.md`.
    pub(crate) name: &'static str,
    /// What it does, for the table.
    pub(crate) does: &'static str,
    /// What must happen.
    pub(crate) must: Must,
    /// Makes it.
    pub(crate) module: fn() -> Vec<u8>,
}

/// What must happen to a module.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Must {
    /// It is not deployed; the answer says each of these.
    BeRefused(&'static [&'static str]),
    /// It is deployed; a record that it is given fails with this code, and the message says this.
    Fail(&'static str, &'static str),
    /// It is deployed; a call ends at its deadline or at the number of host calls that it has, whichever is first.
    BeStopped,
    /// It is deployed, and does no harm: every record comes back.
    Answer,
}

/// Codes of error objects.
pub(crate) const TIMED_OUT: &str = "Lambda.FunctionTimedOut";
/// See [`TIMED_OUT`].
pub(crate) const ERROR: &str = "Lambda.FunctionError";
/// See [`TIMED_OUT`].
pub(crate) const INVALID: &str = "Lambda.InvalidReturnFormat";
/// See [`TIMED_OUT`].
pub(crate) const FAILED: &str = "Lambda.ProcessingFailedStatus";

/// The parts of the corpus, with the headlines of the page.
pub(crate) const PARTS: [(&str, &[Case]); 7] = [
    ("Time and stack", cpu::CASES),
    ("Memory and tables", memory::CASES),
    ("Host calls", calls::CASES),
    ("Answers that lie", output::CASES),
    ("The boundary", abi::CASES),
    ("WASI", wasi::CASES),
    ("Shape of the module", shape::CASES),
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    PARTS.iter().flat_map(|(_, cases)| *cases)
}

#[test]
fn names_are_names_of_functions_and_stand_once() {
    let mut names: Vec<&str> = all().map(|case| case.name).collect();
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(count >= 40, "{count} modules");
}

#[test]
fn every_module_can_be_made() {
    for case in all() {
        let made = std::panic::catch_unwind(case.module);
        assert!(made.is_ok_and(|bytes| !bytes.is_empty()), "{}: {}", case.name, case.does);
    }
}
