//! Every compression in any chunking, read by independent decoders.

use std::io::Read;

use super::*;
use millrace_types::SeededEntropy;
use proptest::prelude::*;

/// The independent decoders: none shares code with the encoders but the two Snappy framings, which
/// are read here byte by byte.
fn decode(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    const DECODED_BYTES_MAX: u64 = 64 << 20;
    let mut out = Vec::new();
    match compression {
        Compression::Uncompressed => out.extend_from_slice(bytes),
        Compression::Gzip => {
            read_all(flate2::read::MultiGzDecoder::new(bytes).take(DECODED_BYTES_MAX), &mut out);
        }
        Compression::Zstd => {
            read_all(zstd::stream::read::Decoder::new(bytes).unwrap().take(DECODED_BYTES_MAX), &mut out);
        }
        Compression::Zip => {
            let mut archive = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
            assert_eq!(archive.len(), 1);
            let entry = archive.by_index(0).unwrap();
            assert_eq!(entry.compression(), zip::CompressionMethod::Deflated);
            let name = entry.name().unwrap().into_owned();
            assert!(name.len() == 36 && name.as_bytes()[14] == b'4', "{name}");
            read_all(entry.take(DECODED_BYTES_MAX), &mut out);
        }
        Compression::Snappy => {
            let mut rest = bytes.strip_prefix(b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01".as_slice()).unwrap();
            while !rest.is_empty() {
                let block = take_block(&mut rest);
                assert!(block.len() <= 32 * 1024);
                out.extend(block);
            }
        }
        Compression::HadoopSnappy => {
            let mut rest = bytes;
            while !rest.is_empty() {
                let raw_bytes = take_length(&mut rest);
                let block = take_block(&mut rest);
                assert_eq!(block.len(), raw_bytes);
                out.extend(block);
            }
        }
    }
    out
}

#[expect(clippy::disallowed_methods, reason = "the callers bound the reader")]
fn read_all(mut reader: impl Read, out: &mut Vec<u8>) {
    reader.read_to_end(out).unwrap();
}

fn take_length(rest: &mut &[u8]) -> usize {
    let (length, behind) = rest.split_first_chunk::<4>().unwrap();
    *rest = behind;
    u32::from_be_bytes(*length) as usize
}

fn take_block(rest: &mut &[u8]) -> Vec<u8> {
    let length = take_length(rest);
    let (block, behind) = rest.split_at(length);
    *rest = behind;
    snap::raw::Decoder::new().decompress_vec(block).unwrap()
}

fn compress(compression: Compression, plain: &[u8], cuts: &[usize], drained: bool) -> Vec<u8> {
    let mut compressor = Compressor::new(compression, Levels::default(), &SeededEntropy::new(9));
    let mut out = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([plain.len()]) {
        compressor.write(&plain[at..cut]).unwrap();
        at = cut;
        if drained {
            out.append(compressor.output());
        }
    }
    out.extend(compressor.finish().unwrap());
    out
}

/// Text that compresses, and noise that does not.
fn bytes(len: usize, noisy: bool) -> Vec<u8> {
    let entropy = SeededEntropy::new(len as u64);
    let mut out = vec![0; len];
    Entropy::fill(&entropy, &mut out);
    if !noisy {
        out.iter_mut().for_each(|byte| *byte = b"{\"a\":01}"[usize::from(*byte % 8)]);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn what_goes_in_comes_out(
        len in prop_oneof![0..3_000usize, 100_000..900_000usize],
        noisy in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        drained in any::<bool>(),
    ) {
        let plain = bytes(len, noisy);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
        cuts.sort_unstable();
        for compression in Compression::ALL {
            let packed = compress(compression, &plain, &cuts, drained);
            prop_assert!(decode(compression, &packed) == plain, "{compression:?}");
        }
    }
}

/// Beyond what is staged, with members of gzip filled from one write and from several.
#[test]
fn large_objects_come_out_whole_and_an_object_given_up_leaves_nothing_to_the_next() {
    const MEMBER: usize = MIB;
    let plain = bytes(3 * MEMBER + 77, false);
    for compression in Compression::ALL {
        for cuts in [vec![], vec![MEMBER], vec![MEMBER - 1, MEMBER + 1], vec![5, 2 * MEMBER + 5], vec![3 * MEMBER]] {
            for drained in [false, true] {
                let packed = compress(compression, &plain, &cuts, drained);
                assert!(decode(compression, &packed) == plain, "{compression:?} {cuts:?} {drained}");
            }
            let mut given_up = Compressor::new(compression, Levels::default(), &SeededEntropy::new(2));
            given_up.write(&plain[..2 * MEMBER + 9]).unwrap();
            drop(given_up);
        }
    }
}

#[test]
fn a_small_object_takes_no_working_memory_before_its_end() {
    for compression in Compression::ALL {
        let mut compressor = Compressor::new(compression, Levels::default(), &SeededEntropy::new(1));
        compressor.write(&[b'x'; 1000]).unwrap();
        assert!(compressor.memory_bytes() < 4096, "{compression:?}");
        compressor.write(&bytes(300_000, false)).unwrap();
        assert!(compressor.memory_bytes() > 1000, "{compression:?}");
    }
}

#[test]
fn an_empty_object_is_still_a_whole_one() {
    for compression in Compression::ALL {
        let packed = compress(compression, b"", &[], false);
        assert_eq!(decode(compression, &packed), b"", "{compression:?}");
    }
}

#[test]
fn a_broken_zstd_frame_is_noticed_by_its_checksum() {
    let plain = bytes(5_000, true);
    let mut packed = compress(Compression::Zstd, &plain, &[], false);
    let middle = packed.len() / 2;
    packed[middle] ^= 1;
    let mut out = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "bounded by take")]
    let read = zstd::stream::read::Decoder::new(packed.as_slice()).unwrap().take(1 << 20).read_to_end(&mut out);
    assert!(read.is_err());
}
