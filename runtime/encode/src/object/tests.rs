//! Whole objects: format, compression and encryption together.

use super::*;
use millrace_types::SeededEntropy;
use proptest::prelude::*;

fn settings(compression: Compression, delimiter: Option<&str>, encryption: Option<EncryptionKey>) -> EncoderSettings {
    let delimiter = delimiter.map(|text| text.as_bytes().to_vec());
    EncoderSettings { format: Format::JsonLines { delimiter }, compression, levels: Levels::default(), encryption }
}

fn pack(records: &[Vec<u8>]) -> (Vec<u8>, Vec<u32>) {
    let mut payload = Vec::new();
    let ends = records.iter().map(|record| {
        payload.extend_from_slice(record);
        u32::try_from(payload.len()).unwrap()
    });
    let ends = ends.collect();
    (payload, ends)
}

proptest! {
    #[test]
    fn records_are_joined_with_and_without_a_delimiter_and_a_choice(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..40),
        chosen in prop::collection::vec(any::<bool>(), 40),
        delimiter in prop::option::of("[\n,]{1,2}"),
        choose in any::<bool>(),
    ) {
        let (payload, ends) = pack(&records);
        let select: Vec<u32> = (0..records.len()).filter(|at| chosen[*at]).map(|at| at as u32).collect();
        let mut encoder =
            ObjectEncoder::new(&settings(Compression::Uncompressed, delimiter.as_deref(), None), &SeededEntropy::new(1)).unwrap();
        let columns = Columns { payload: &payload, ends: &ends };
        let mut expected = Vec::new();
        for _ in 0..2 {
            prop_assert_eq!(encoder.push(columns, choose.then_some(&select[..])).unwrap(), Vec::new());
            for (at, record) in records.iter().enumerate() {
                if !choose || chosen[at] {
                    expected.extend_from_slice(record);
                    expected.extend_from_slice(delimiter.as_deref().unwrap_or("").as_bytes());
                }
            }
        }
        let count = 2 * if choose { select.len() } else { records.len() };
        let delimiters = count * delimiter.as_deref().map_or(0, str::len);
        prop_assert_eq!(encoder.source_bytes() as usize, expected.len() - delimiters);
        let mut body = encoder.take_output();
        let finished = encoder.finish().unwrap();
        body.extend(finished.rest);
        prop_assert_eq!(finished.records as usize, count);
        prop_assert_eq!(body, expected);
    }
}

/// Opens what a seal made, as an official client does.
fn open(key: &[u8; 32], finished: &Finished, body: &[u8]) -> Vec<u8> {
    use aes_gcm::aead::{Aead, KeyInit, Payload};
    use aes_gcm::{Aes256Gcm, Nonce};
    use base64_simd::STANDARD;
    let get = |name: &str| {
        let found = finished.metadata.iter().find(|(known, _)| known == name);
        STANDARD.decode_to_vec(&found.unwrap().1).unwrap()
    };
    let nonce = |bytes: &[u8]| Nonce::from(<[u8; 12]>::try_from(bytes).unwrap());
    let wrapped = get("x-amz-key-v2");
    let payload = Payload { msg: &wrapped[12..], aad: b"AES/GCM/NoPadding" };
    let data_key = Aes256Gcm::new(key.into()).decrypt(&nonce(&wrapped[..12]), payload).unwrap();
    let data_key: [u8; 32] = data_key.try_into().unwrap();
    Aes256Gcm::new((&data_key).into()).decrypt(&nonce(&get("x-amz-iv")), body).unwrap()
}

#[test]
fn an_encrypted_object_is_the_plain_one_once_opened() {
    let key = [3; 32];
    let records: Vec<Vec<u8>> =
        (0..20_000).map(|n| format!("{{\"n\":{n},\"text\":\"abcdefgh\"}}\n").into_bytes()).collect();
    // Four times this is more than a compressor stages.
    let (payload, ends) = pack(&records);
    for compression in [Compression::Uncompressed, Compression::Gzip, Compression::Zstd, Compression::Snappy] {
        let run = |encryption: Option<EncryptionKey>, drain: bool| {
            let mut encoder =
                ObjectEncoder::new(&settings(compression, None, encryption), &SeededEntropy::new(4)).unwrap();
            let mut body = Vec::new();
            for _ in 0..4 {
                encoder.push(Columns { payload: &payload, ends: &ends }, None).unwrap();
                if drain {
                    body.extend(encoder.take_output());
                }
            }
            let finished = encoder.finish().unwrap();
            body.extend_from_slice(&finished.rest);
            (body, finished)
        };
        let (plain, unsealed) = run(None, true);
        assert_eq!(unsealed.metadata, Vec::new());
        for drain in [false, true] {
            let (sealed, finished) = run(Some(EncryptionKey::new("k", key)), drain);
            assert_eq!(sealed.len(), plain.len() + 16);
            assert!(open(&key, &finished, &sealed) == plain, "{compression:?}");
            assert_eq!(finished.content_encoding, compression.content_encoding());
        }
    }
}

#[test]
fn parquet_is_not_compressed_as_a_whole() {
    let mut settings = settings(Compression::Gzip, None, None);
    settings.format = Format::Parquet(crate::columnar::tests::relaxed());
    assert!(matches!(ObjectEncoder::new(&settings, &SeededEntropy::new(1)), Err(Error::CompressedParquet)));
}

#[test]
fn nothing_pushed_is_an_object_without_records() {
    for format in [Format::JsonLines { delimiter: None }, Format::Parquet(crate::columnar::tests::relaxed())] {
        let settings = EncoderSettings { format, ..settings(Compression::Uncompressed, None, None) };
        let encoder = ObjectEncoder::new(&settings, &SeededEntropy::new(1)).unwrap();
        let finished = encoder.finish().unwrap();
        assert_eq!((finished.records, finished.rest.len()), (0, 0));
    }
}
