//! Decoding of plain bodies, the hostile ones among them.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { bytes_max: 1 << 20, ratio_max: 100, ratio_free_bytes: 1 << 16 };

fn records(batch: &Batch) -> Vec<Vec<u8>> {
    batch.columns().iter().map(<[u8]>::to_vec).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}

proptest! {
    #[test]
    fn lines_come_back(lines in prop::collection::vec("[a-z{}\": ]{0,12}", 0..40), crlf: bool, last: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut body = lines.join(end);
        if last {
            body.push_str(end);
        }
        let wanted: Vec<Vec<u8>> = lines.iter().filter(|l| !l.is_empty()).map(|l| l.clone().into_bytes()).collect();
        match cut(Form::Lines, body.as_bytes(), 5) {
            Ok(batch) => prop_assert_eq!(records(&batch), wanted),
            Err(error) => {
                prop_assert!(wanted.is_empty());
                prop_assert_eq!(error.slug, "request.empty");
            }
        }
    }

    #[test]
    fn any_bytes_are_decompressed_or_refused(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            if let Ok(out) = decompress::all(encoding, &body, LIMITS) {
                prop_assert!(out.len() <= LIMITS.bytes_max);
            }
        }
        for form in [Form::Lines, Form::Array, Form::Raw] {
            if let Ok(batch) = cut(form, &body, 0) {
                prop_assert!(!batch.is_empty());
            }
        }
    }

    #[test]
    fn compressed_bodies_come_back_and_short_ones_are_refused(body in prop::collection::vec(any::<u8>(), 1..3000)) {
        let zstd = zstd::bulk::compress(&body, 1).expect("in memory");
        for (encoding, packed) in [(Encoding::Gzip, gzip(&body)), (Encoding::Zstd, zstd)] {
            prop_assert_eq!(&decompress::all(encoding, &packed, LIMITS).expect("whole"), &body);
            let short = &packed[..packed.len() - 1];
            prop_assert!(decompress::all(encoding, short, LIMITS).is_err());
        }
    }
}

#[test]
fn bombs_are_refused_by_name() {
    let zeros = vec![0u8; 8 << 20];
    let zstd = zstd::bulk::compress(&zeros, 1).expect("in memory");
    for (encoding, packed) in [(Encoding::Gzip, gzip(&zeros)), (Encoding::Zstd, zstd)] {
        let error = decompress::all(encoding, &packed, LIMITS).expect_err("a bomb");
        assert_eq!(error.code, Code::TooLarge, "{encoding:?}");
    }
    let halves = [gzip(&zeros), gzip(&zeros)].concat();
    assert!(decompress::all(Encoding::Gzip, &halves, LIMITS).is_err(), "members count together");
}

#[test]
fn elements_keep_their_text() {
    let body = br#" [ {"a": 1.50, "a": 2} ,"x",null, [1, 2] ] "#;
    let batch = cut(Form::Array, body, 7).expect("an array");
    let wanted: Vec<Vec<u8>> =
        [r#"{"a": 1.50, "a": 2}"#, r#""x""#, "null", "[1, 2]"].map(|t| t.as_bytes().to_vec()).to_vec();
    assert_eq!(records(&batch), wanted);
    assert_eq!(batch.arrivals_ms(), [7; 4]);
}

#[test]
fn what_is_no_array_is_refused() {
    let deep = "[".repeat(200_000);
    for body in ["", "{}", "1", "[1", "[1,]", "[1] x", "[]", deep.as_str()] {
        assert!(cut(Form::Array, body.as_bytes(), 0).is_err(), "{body:.20}");
    }
}

#[test]
fn a_record_that_is_too_long_is_named() {
    let long = vec![b'x'; RECORD_BYTES_MAX + 1];
    let body = [b"a\n".as_slice(), &long].concat();
    let error = cut(Form::Lines, &body, 0).expect_err("too long");
    assert_eq!(error.slug, "record.too-large");
    assert!(error.message.starts_with("Line 2 has 1024001 bytes"), "{}", error.message);
    assert!(cut(Form::Raw, &long, 0).is_err());
    assert_eq!(cut(Form::Raw, &long[1..], 0).expect("fits").len(), 1);
    assert_eq!(cut(Form::Raw, b"", 0).expect("an empty record").len(), 1);
}

#[test]
fn the_head_says_how() {
    let kind = |content_type: Option<&str>, encoding: Option<&str>| {
        let mut request = http::Request::builder();
        if let Some(value) = content_type {
            request = request.header(CONTENT_TYPE, value);
        }
        if let Some(value) = encoding {
            request = request.header(CONTENT_ENCODING, value);
        }
        Kind::of(&request.body(()).expect("a request").into_parts().0).map(|kind| (kind.form, kind.encoding))
    };
    assert_eq!(kind(None, None).expect("lines"), (Form::Lines, Encoding::Identity));
    assert_eq!(kind(Some("Text/Plain; charset=utf-8"), Some("GZIP")).expect("lines"), (Form::Lines, Encoding::Gzip));
    assert_eq!(kind(Some("application/json"), Some("zstd")).expect("array"), (Form::Array, Encoding::Zstd));
    assert_eq!(kind(Some("application/octet-stream"), None).expect("raw"), (Form::Raw, Encoding::Identity));
    assert!(kind(Some("application/xml"), None).is_err());
    assert!(kind(None, Some("br")).is_err());
    assert!(kind(None, Some("gzip, zstd")).is_err());
}
