//! Reads a segment or run frame by frame: what is whole, what is damaged, where the valid part ends.

use std::io;

use bytes::Bytes;

use crate::disk::DiskFile;
use crate::file::{FRAMES_AT, is_damage, read_patiently};
use crate::frame::{ALIGN_BYTES, HEADER_BYTES, Header, Kind, MAGIC, MORE};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

/// Bytes that hold no whole frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    /// The frame's header, when that much is whole.
    pub(crate) header: Option<Header>,
    pub(crate) why: &'static str,
}

/// What is known of a file's durable bytes, before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// So many: everything damaged below is damage, everything behind is not looked at.
    Exactly(u64),
    /// So many or more, 0 when nothing is known: the tail may be torn. A damaged place is taken for damage
    /// only when it lies below, or when a later frame says that it was durable.
    AtLeast(u64),
}

/// What a file holds.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Whole frames and where they begin, but for marks and pads.
    pub(crate) frames: Vec<(u64, Header)>,
    /// Damaged places below `valid_bytes`.
    pub(crate) damage: Vec<Damage>,
    /// Frames below were durable, or are whole without a hole before them.
    pub(crate) valid_bytes: u64,
    /// Bytes of a torn tail behind.
    pub(crate) torn_bytes: u64,
    /// Behind the last byte that is not zero.
    pub(crate) data_end: u64,
    /// Behind the last frame whose header is whole.
    pub(crate) readable_end: u64,
    /// Length of the file.
    pub(crate) file_bytes: u64,
}

impl Scan {
    /// True when the file is shorter than the `reserved_bytes` it was made with and its data goes to its
    /// very end: what was behind is gone. Frames leave no hole, so behind a word of zeros nothing was.
    pub(crate) fn is_cut(&self, reserved_bytes: u64) -> bool {
        self.file_bytes < reserved_bytes && self.data_end + ALIGN_BYTES as u64 > self.file_bytes
    }

    /// Where the file can be cut so that it is not taken for one that lost its end: behind all data, and
    /// behind a whole header that is not there, a word of zeros.
    pub(crate) fn end_to_keep(&self) -> u64 {
        let end = self.data_end.max(self.valid_bytes).max(self.readable_end + HEADER_BYTES as u64);
        end + ALIGN_BYTES as u64
    }
}

/// Scans `file`.
pub(crate) fn scan(file: &dyn DiskFile, salt: u64, durable: Durable) -> io::Result<Scan> {
    let file_bytes = file.len()?;
    let limit = match durable {
        Durable::Exactly(bytes) => bytes.min(file_bytes),
        Durable::AtLeast(_) => file_bytes,
    };
    let mut window = Window::new(file, limit);
    let begin = FRAMES_AT.min(limit);
    let mut out = Scan { valid_bytes: begin, data_end: begin, readable_end: begin, file_bytes, ..Scan::default() };
    let mut all: Vec<(u64, Header)> = Vec::new();
    let mut synced = 0;
    let mut at = FRAMES_AT;
    while at < limit {
        match window.frame(at, salt)? {
            Found::Frame(header) => {
                synced = synced.max(header.synced);
                all.push((at, header));
                at += header.frame_bytes();
                (out.data_end, out.readable_end) = (at, at);
            }
            Found::BadBody(header) => {
                let bytes = header.frame_bytes();
                out.damage.push(Damage { offset: at, bytes, header: Some(header), why: "checksum of a frame's body" });
                at += bytes;
                (out.data_end, out.readable_end) = (at, at);
            }
            Found::Nothing(header) => {
                let (next, data_end) = window.find(at, salt)?;
                // What begins here and goes on behind the end fills the rest, be it with zeros.
                let goes_on = header.is_some() || (data_end > at && limit - at < HEADER_BYTES as u64);
                let end = next.unwrap_or(if goes_on { limit } else { data_end });
                if end > at {
                    let why = if header.is_some() { "the end of a frame is gone" } else { "no valid frame header" };
                    out.damage.push(Damage { offset: at, bytes: end - at, header, why });
                    out.data_end = end;
                }
                match next {
                    Some(next) => at = next,
                    None => break,
                }
            }
        }
    }
    match durable {
        Durable::Exactly(durable) => {
            out.valid_bytes = durable;
            let end = out.data_end.max(FRAMES_AT);
            if end < durable {
                let why = if limit < durable { "the file is cut short" } else { "zeros where frames were" };
                out.damage.push(Damage { offset: end, bytes: durable - end, header: None, why });
            }
        }
        Durable::AtLeast(bytes) => cut_tail(&mut out, &mut all, synced.max(bytes)),
    }
    all.retain(|(_, header)| !matches!(header.kind, Kind::Mark | Kind::Pad));
    out.frames = all;
    Ok(out)
}

/// Cuts what lies behind `synced` and is not whole.
fn cut_tail(out: &mut Scan, all: &mut Vec<(u64, Header)>, synced: u64) {
    let torn = out.damage.iter().find(|damage| damage.offset >= synced).map(|damage| damage.offset);
    let mut cut = torn.unwrap_or(out.data_end);
    all.retain(|(at, _)| *at < cut);
    // A request whose later frames are missing is not there at all.
    while let Some((at, _)) = all.last().filter(|(at, header)| header.flags & MORE != 0 && *at >= synced) {
        cut = *at;
        all.pop();
    }
    out.damage.retain(|damage| damage.offset < cut);
    out.valid_bytes = cut;
    out.torn_bytes = out.data_end - cut;
}

enum Found {
    Frame(Header),
    BadBody(Header),
    /// No whole frame; its header, when the frame alone goes on behind the end.
    Nothing(Option<Header>),
}

/// A part of the file in memory.
pub(crate) struct Window<'a> {
    file: &'a dyn DiskFile,
    limit: u64,
    start: u64,
    bytes: Vec<u8>,
    pub(crate) read_bytes: u64,
}

impl<'a> Window<'a> {
    /// Over `file` up to `limit`.
    pub(crate) fn new(file: &'a dyn DiskFile, limit: u64) -> Self {
        Self { file, limit, start: 0, bytes: Vec::new(), read_bytes: 0 }
    }

    /// Bytes `at..at + length`; none behind the limit. Where the disk cannot read, zeros.
    pub(crate) fn get(&mut self, at: u64, length: usize) -> io::Result<Option<&[u8]>> {
        if at.checked_add(length as u64).is_none_or(|end| end > self.limit) {
            return Ok(None);
        }
        let inside = at >= self.start && at + length as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            let left = usize::try_from(self.limit - at).unwrap_or(usize::MAX);
            self.bytes.resize(length.max(WINDOW_BYTES).min(left), 0);
            self.start = at;
            match read_patiently(self.file, &mut self.bytes, at) {
                Ok(()) => {}
                Err(error) if is_damage(&error) => self.read_pages(at)?,
                Err(error) => return Err(error),
            }
            self.read_bytes += self.bytes.len() as u64;
        }
        let offset = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.bytes.get(offset..offset + length))
    }

    /// Page by page, so that one bad sector hides one page.
    fn read_pages(&mut self, at: u64) -> io::Result<()> {
        for (nth, page) in self.bytes.chunks_mut(PAGE_BYTES).enumerate() {
            match read_patiently(self.file, page, at + (nth * PAGE_BYTES) as u64) {
                Ok(()) => {}
                Err(error) if is_damage(&error) => page.fill(0),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn frame(&mut self, at: u64, salt: u64) -> io::Result<Found> {
        let Some(header) = self.get(at, HEADER_BYTES)?.and_then(|bytes| Header::decode(bytes, salt)) else {
            return Ok(Found::Nothing(None));
        };
        let Some(body) = self.get(at + HEADER_BYTES as u64, header.body_bytes as usize)? else {
            return Ok(Found::Nothing(Some(header)));
        };
        Ok(if header.fits(body) { Found::Frame(header) } else { Found::BadBody(header) })
    }

    /// The body of the whole frame at `at`.
    pub(crate) fn body(&mut self, at: u64, header: &Header) -> io::Result<Option<Bytes>> {
        let body = self.get(at + HEADER_BYTES as u64, header.body_bytes as usize)?;
        Ok(body.filter(|body| header.fits(body)).map(Bytes::copy_from_slice))
    }

    /// The end of the bytes that are not zero; 0 when all are.
    pub(crate) fn data_end(&mut self) -> io::Result<u64> {
        let salt = 0;
        let mut end = 0;
        let mut at = 0;
        loop {
            let (next, data_end) = self.find(at, salt)?;
            end = data_end.max(end);
            match next {
                Some(next) => at = next,
                None => return Ok(end),
            }
        }
    }

    /// The next valid header behind `at`, and the end of the bytes that are not zero.
    fn find(&mut self, at: u64, salt: u64) -> io::Result<(Option<u64>, u64)> {
        let mut data_end = at;
        let mut next = at;
        while next < self.limit {
            let left = usize::try_from(self.limit - next).unwrap_or(usize::MAX);
            let length = left.min(WINDOW_BYTES);
            let Some(bytes) = self.get(next, length)? else { break };
            let mut candidates = Vec::new();
            // Most of what is looked through is a prepared, empty rest: pages of zeros go quickly.
            let pages = bytes.chunks(PAGE_BYTES).enumerate();
            for (page_nth, page) in pages.filter(|(_, page)| page.iter().fold(0, |all, byte| all | byte) != 0) {
                for (nth, word) in page.chunks(ALIGN_BYTES).enumerate() {
                    let Some(last) = word.iter().rposition(|byte| *byte != 0) else { continue };
                    let place = next + (page_nth * PAGE_BYTES + nth * ALIGN_BYTES) as u64;
                    data_end = place + last as u64 + 1;
                    if word.starts_with(&MAGIC) && place > at {
                        candidates.push((place, data_end));
                    }
                }
            }
            for (place, end) in candidates {
                let header = self.get(place, HEADER_BYTES)?.and_then(|bytes| Header::decode(bytes, salt));
                if header.is_some_and(|header| place + header.frame_bytes() <= self.limit) {
                    return Ok((Some(place), end));
                }
            }
            next += length as u64;
        }
        Ok((None, data_end))
    }
}
