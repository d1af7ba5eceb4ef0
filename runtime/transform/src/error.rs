//! What can go wrong before a function runs: deploy, compile, load. A failed call is a
//! [`CallError`](crate::CallError).

use std::io;

/// Why a module cannot become a function.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More bytes than a deploy may have.
    #[error("the module has {bytes} bytes; at most {max} are taken")]
    TooLarge {
        /// Bytes of the module.
        bytes: usize,
        /// The limit, bytes.
        max: usize,
    },
    /// Neither a core module nor a component.
    #[error("not a WebAssembly module or component: {0}")]
    NotWasm(String),
    /// Imports that nobody granted, every one of them by name.
    #[error("the module imports what was not granted: {}{}", listed(.0), crate::component::next_step(.0))]
    Imports(Vec<String>),
    /// Of neither world: what it would have to export is missing or another thing, or it was made for
    /// another host.
    #[error(
        "the module must export `transform` (world transform) or `handle` (world handler) of millrace:transform@0.1.0: {0}"
    )]
    World(String),
    /// The compiler refused the module.
    #[error("the module does not compile: {0}")]
    Compile(String),
    /// The compiling process used more memory or CPU time than it may.
    #[error("compiling was stopped: {0}")]
    CompileStopped(String),
    /// The authentication code does not fit: not our file, another key, or damage.
    #[error("the compiled function was not written by this server or is damaged; deploy it again")]
    Artifact,
    /// Our file, but of another engine version, settings or processor: compile the stored component.
    #[error("the compiled function was made by another engine; it must be compiled again")]
    Recompile,
    /// The function does not start: its initialisation traps or needs more than it may have.
    #[error("the function does not start: {0}")]
    Start(String),
    /// The engine refuses its settings, or the machine does not have what they ask for.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// Input or output failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl Error {
    /// A stable name of the condition, for users.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "function.too-large",
            Self::Imports(_) => "function.imports",
            Self::Io { .. } => "function.files",
            Self::Start(_) => "function.start",
            Self::NotWasm(_)
            | Self::World(_)
            | Self::Compile(_)
            | Self::CompileStopped(_)
            | Self::Artifact
            | Self::Recompile
            | Self::Engine(_) => "function.module",
        }
    }
}

/// Names that are listed one by one; the others are counted.
const LISTED_MAX: usize = 50;
/// Bytes that are shown of one name.
const LISTED_BYTES_MAX: usize = 200;

/// `names` for a message: whoever deploys chose how many there are and how long they are.
fn listed(names: &[String]) -> String {
    let shown = |name: &String| match cut(name, LISTED_BYTES_MAX) {
        whole if whole.len() == name.len() => whole.to_owned(),
        part => format!("{part}…"),
    };
    let mut text = names.iter().take(LISTED_MAX).map(shown).collect::<Vec<_>>().join(", ");
    if names.len() > LISTED_MAX {
        text.push_str(&format!(" and {} more", names.len() - LISTED_MAX));
    }
    text
}

/// Turns an IO error into [`Error::Io`].
pub(crate) fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { what, source }
}

/// `text` cut to at most `bytes_max` bytes at a character's border.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_up_to_a_number_and_a_length() {
        let names = |count: usize| (0..count).map(|n| format!("env.f{n}")).collect::<Vec<_>>();
        assert_eq!(listed(&names(2)), "env.f0, env.f1");
        assert!(listed(&names(LISTED_MAX)).ends_with(", env.f49"));
        assert!(listed(&names(20_000)).ends_with(", env.f49 and 19950 more"));
        assert_eq!(listed(&["n".repeat(90_000)]), format!("{}…", "n".repeat(LISTED_BYTES_MAX)));
    }

    #[test]
    fn what_does_not_start_has_a_page_of_its_own() {
        assert_eq!(Error::Start("the deadline passed".to_owned()).slug(), "function.start");
        assert_eq!(Error::Compile(String::new()).slug(), "function.module");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("grün", 3), "gr");
        assert_eq!(cut("grün", 4), "grü");
        assert_eq!(cut("", 4), "");
    }
}
