//! Writes the seeds of all targets that are built as corpora: `seeds DIR` makes `DIR/TARGET/NUMBER`.

use std::path::PathBuf;

use millrace_types::mutate::Target;

fn main() -> std::io::Result<()> {
    let dir = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("corpus"), PathBuf::from);
    for target in targets() {
        let dir = dir.join(target.name);
        std::fs::create_dir_all(&dir)?;
        let seeds = (target.seeds)();
        for (nth, seed) in seeds.iter().enumerate() {
            std::fs::write(dir.join(format!("seed-{nth}")), seed)?;
        }
        let words: String = target.words.iter().map(|word| format!("\"{}\"\n", escaped(word))).collect();
        std::fs::write(dir.with_extension("dict"), words)?;
        println!("{}: {} seeds, {} words", target.name, seeds.len(), target.words.len());
    }
    Ok(())
}

/// A word as a dictionary of libFuzzer has it.
fn escaped(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    word.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("\\x{b:02x}") }).collect()
}

fn targets() -> Vec<Target> {
    let mut targets = millrace_types::fuzz::targets();
    #[cfg(feature = "auth")]
    targets.extend(millrace_auth::fuzz::targets());
    #[cfg(feature = "catalog")]
    targets.extend(millrace_catalog::fuzz::targets());
    #[cfg(feature = "delivery")]
    targets.extend(millrace_delivery::fuzz::targets());
    #[cfg(feature = "encode")]
    targets.extend(millrace_encode::fuzz::targets());
    #[cfg(feature = "front")]
    targets.extend(millrace_front::fuzz::targets());
    #[cfg(feature = "log")]
    targets.extend(millrace_log::fuzz::targets());
    #[cfg(feature = "object")]
    targets.extend(millrace_object::fuzz::targets());
    #[cfg(feature = "transform")]
    targets.extend(millrace_transform::fuzz::targets());
    targets
}
