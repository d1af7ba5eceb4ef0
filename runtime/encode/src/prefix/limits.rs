//! What every store takes as a key, checked on the longest key that a prefix can make.
//!
//! Object stores take 1,024 bytes; a folder takes 255 bytes between two slashes, and neither a URL nor a
//! folder keeps a segment `.` or `..`. One rule for all of them: a stream can be moved from a folder to
//! a store and back, and what is refused is refused when the stream is made.

use std::fmt;

use super::PrefixSettings;
use super::expression::Member;

/// UTF-16 units (Java's length) that an evaluated prefix may have.
pub(super) const EVALUATED_CHARS_MAX: usize = 512;
/// Bytes of a key, as at S3.
pub(super) const KEY_BYTES_MAX: usize = 1_024;
/// Bytes between two slashes: what file systems take as a name.
pub(super) const SEGMENT_BYTES_MAX: usize = 255;
/// Bytes of the longest extension that a format has of its own.
const OWN_EXTENSION_BYTES: usize = ".parquet".len();
/// Bytes of `yyyy-MM-dd-HH-mm-ss-` and a UUID.
const TIME_AND_UUID_BYTES: usize = 20 + 36;
/// Bytes that the name of an instruction file has more than its object's.
const INSTRUCTION_BYTES: usize = ".instruction".len();

/// What is wrong with the keys of a prefix.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Evaluated,
    Control(char),
    Dots,
    Segment(usize),
    Key(usize),
}

impl Wrong {
    /// The sentence that names the member.
    pub(super) fn of(&self, member: Member) -> String {
        match self {
            // AWS's text, which names none.
            Self::Evaluated => self.to_string(),
            _ => format!("{} {self}", member.name()),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evaluated => write!(f, "Length of evaluated prefix cannot be greater than {EVALUATED_CHARS_MAX}"),
            Self::Control(char) => {
                write!(f, "holds the control character U+{:04X}, which no key may hold", u32::from(*char))
            }
            Self::Dots => f.write_str("makes a key with a segment '.' or '..', which URLs and folders resolve away"),
            Self::Segment(bytes) => write!(
                f,
                "makes a key with {bytes} bytes between two slashes (dates at their longest, the object's name and \
                 FileExtension counted); at most {SEGMENT_BYTES_MAX} are taken"
            ),
            Self::Key(bytes) => write!(
                f,
                "makes a key of {bytes} bytes (dates at their longest, the object's name and FileExtension counted); \
                 at most {KEY_BYTES_MAX} are taken"
            ),
        }
    }
}

/// Bytes of an object's name at most, with its instruction file's where it is encrypted; `head` is
/// `<stream>-<version>-`.
pub(super) fn name_bytes(head: &str, settings: &PrefixSettings<'_>) -> usize {
    let own = settings.file_extension.len();
    let extension = if own == 0 { OWN_EXTENSION_BYTES } else { own };
    let instruction = if settings.encrypted { INSTRUCTION_BYTES } else { 0 };
    head.len() + TIME_AND_UUID_BYTES + extension + instruction
}

/// Checks the evaluated prefix at its longest, and the key that it makes with a name of `name_bytes`.
pub(super) fn check(prefix: &str, name_bytes: usize) -> Result<(), Wrong> {
    if let Some(char) = prefix.chars().find(|char| char.is_control()) {
        return Err(Wrong::Control(char));
    }
    if prefix.encode_utf16().count() > EVALUATED_CHARS_MAX {
        return Err(Wrong::Evaluated);
    }
    let mut segments = prefix.split('/');
    // What follows the last slash is the beginning of the object's name.
    let name = segments.next_back().map_or(0, str::len) + name_bytes;
    let mut longest = name;
    for segment in segments {
        if segment == "." || segment == ".." {
            return Err(Wrong::Dots);
        }
        longest = longest.max(segment.len());
    }
    if longest > SEGMENT_BYTES_MAX {
        return Err(Wrong::Segment(longest));
    }
    let bytes = prefix.len() + name_bytes;
    if bytes > KEY_BYTES_MAX { Err(Wrong::Key(bytes)) } else { Ok(()) }
}
