//! `millrace.toml` of a function project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Deserialize;
use toml::Table;

use super::toml_file::TomlFile;

/// Letters of a function's name.
const NAME_CHARS_MAX: usize = 64;
/// Everything of the project counts, but what is made.
const WATCH: &str = "**";

/// Languages that have an SDK or a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    Rust,
    Python,
    Javascript,
    Go,
    C,
}

impl Language {
    /// As the manifest has it; the name of its folder below `sdk/`, too.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::Go => "go",
            Self::C => "c",
        }
    }

    /// The file that holds the function unless the manifest names another.
    fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "app.py",
            Self::Javascript => "app.js",
            Self::Go => "main.go",
            Self::C => "main.c",
        }
    }
}

/// What a function exports: one of the worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A function over batches of records.
    #[default]
    Transform,
    /// A function over one event, as AWS Lambda has it.
    Handler,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Handler => "handler",
        }
    }
}

/// What the manifest says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) language: Language,
    pub(crate) kind: Kind,
    /// Path in the project.
    pub(crate) source: PathBuf,
    /// What the guest reads.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) build: Build,
}

/// `[limits]`: what is not there is the server's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    /// Memory of one instance, MiB.
    pub(crate) memory_mb: Option<u32>,
    /// Time of one call, milliseconds.
    pub(crate) timeout_ms: Option<u32>,
    /// Keep instances between calls.
    pub(crate) warm: bool,
}

/// `[grants]`: what the function may import beyond its world.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Grants {
    /// Hosts that it may send requests to.
    pub(crate) http: Vec<String>,
    /// It has small state of its own.
    pub(crate) key_value: bool,
}

/// `[build]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Build {
    /// Files whose change `millrace watch` waits for.
    pub(crate) watch: Vec<String>,
    /// A command of the shell that builds, instead of the language's way.
    pub(crate) command: Option<String>,
    /// What that command writes; path in the project.
    pub(crate) output: Option<PathBuf>,
}

impl Default for Build {
    fn default() -> Self {
        Self { watch: vec![WATCH.to_owned()], command: None, output: None }
    }
}

/// `[function]`.
#[derive(Deserialize)]
struct Function {
    name: String,
    language: Language,
    #[serde(default)]
    kind: Kind,
    source: Option<PathBuf>,
}

impl Manifest {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = TomlFile { path, slug: "project.manifest" };
        Self::of(&file, &file.read()?)
    }

    fn of(file: &TomlFile<'_>, table: &Table) -> Result<Self> {
        file.keys(table, "", &["function", "settings", "limits", "grants", "build"])?;
        let section = |name: &str, known: &[&str]| {
            let section = file.table(table, name)?;
            file.keys(&section, &format!("{name}."), known)?;
            Ok::<_, anyhow::Error>(section)
        };
        let function = section("function", &["name", "language", "kind", "source"])?;
        let limits = section("limits", &["memory_mb", "timeout_ms", "warm"])?;
        let grants = section("grants", &["http", "key_value"])?;
        let build = section("build", &["watch", "command", "output"])?;
        let function: Function = file.value(&function, "[function]")?;
        if let Some(complaint) = name_complaint(&function.name, function.language) {
            bail!(file.wrong(&format!("function.name: {complaint}")));
        }
        let build: Build = file.value(&build, "[build]")?;
        if build.command.is_some() != build.output.is_some() {
            bail!(file.wrong("build.command and build.output go together: a command, and the file that it writes"));
        }
        Ok(Self {
            source: function.source.unwrap_or_else(|| function.language.source().into()),
            name: function.name,
            language: function.language,
            kind: function.kind,
            settings: file.settings(&file.table(table, "settings")?, "settings.")?,
            limits: file.value(&limits, "[limits]")?,
            grants: file.value(&grants, "[grants]")?,
            build,
        })
    }

    /// A manifest for a new project.
    pub(crate) fn first(name: &str, language: Language, kind: Kind) -> String {
        format!(
            "[function]\nname = \"{name}\"\nlanguage = \"{}\"\nkind = \"{}\"\n\n[settings]\n\n[limits]\n\n[grants]\n",
            language.word(),
            kind.word()
        )
    }
}

/// Why `name` cannot be the name of a function in `language`.
pub(crate) fn name_complaint(name: &str, language: Language) -> Option<String> {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(letters) {
        return Some(format!("a function's name is 1 to {NAME_CHARS_MAX} of a-z, A-Z, 0-9, _ and -"));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Some("the name of a function with sources begins with a letter".to_owned());
    }
    if language == Language::Rust && RUSTS_OWN.contains(&name) {
        return Some(format!("Rust keeps the name {name} for itself: take another"));
    }
    None
}

/// Names that cargo takes for no package: keywords, and crates that the compiler brings.
const RUSTS_OWN: &[&str] = &[
    "Self",
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// The manifest in a text, for tests.
#[cfg(test)]
pub(crate) fn manifest_of(text: &str) -> Result<Manifest> {
    let file = TomlFile { path: Path::new("millrace.toml"), slug: "project.manifest" };
    Manifest::of(&file, &file.parse(text)?)
}

#[cfg(test)]
mod tests {
    use super::manifest_of as manifest;
    use super::*;

    #[test]
    fn a_manifest_says_everything() {
        let all = manifest(
            "[function]\nname = 'shout'\nlanguage = 'python'\nkind = 'handler'\nsource = 'x.py'\n\
             [settings]\nMode = 'a'\nn = 1\n[limits]\nmemory_mb = 256\ntimeout_ms = 900\nwarm = true\n\
             [grants]\nhttp = ['api.example.com']\nkey_value = true\n\
             [build]\nwatch = ['src/**']\ncommand = 'make'\noutput = 'out.wasm'\n",
        )
        .expect("reads");
        assert_eq!((all.name.as_str(), all.language, all.kind), ("shout", Language::Python, Kind::Handler));
        assert_eq!(
            all.settings.into_iter().collect::<Vec<_>>(),
            [("Mode", "a"), ("n", "1")].map(|(a, b)| (a.into(), b.into()))
        );
        assert_eq!(all.limits, Limits { memory_mb: Some(256), timeout_ms: Some(900), warm: true });
        assert_eq!(all.grants, Grants { http: vec!["api.example.com".into()], key_value: true });
        assert_eq!((all.source, all.build.watch), ("x.py".into(), vec!["src/**".to_owned()]));
        let first = manifest(&Manifest::first("a-b", Language::Go, Kind::Transform)).expect("reads");
        assert_eq!((first.name.as_str(), first.source), ("a-b", "main.go".into()));
        assert_eq!(first.build, Build::default());
    }

    #[test]
    fn what_does_not_fit_is_said_by_name() {
        let function = "[function]\nname = 'a'\nlanguage = 'rust'\n";
        for (text, said) in [
            ("[function]\nname = 'a'\n", "[function]: missing field `language`"),
            ("[function]\nname = 'a b'\nlanguage = 'c'\n", "function.name: a function's name is 1 to 64"),
            ("[function]\nname = '1'\nlanguage = 'c'\n", "begins with a letter"),
            ("[function]\nname = 'test'\nlanguage = 'rust'\n", "Rust keeps the name test for itself"),
            ("[function]\nname = 'a'\nlanguage = 'perl'\n", "unknown variant `perl`"),
            (&format!("{function}[limit]\n"), "there is no key limit; did you mean limits?"),
            (&format!("{function}[limits]\nmemory = 1\n"), "there is no key limits.memory"),
            (&format!("{function}[limits]\nmemory_mb = 'x'\n"), "[limits]: invalid type"),
            (&format!("{function}[grants]\nhttps = []\n"), "did you mean http?"),
            (&format!("{function}[build]\ncommand = 'make'\n"), "go together"),
        ] {
            let error = manifest(text).expect_err(text).to_string();
            assert!(error.starts_with("millrace.toml: ") && error.contains(said), "{error}");
        }
    }
}
