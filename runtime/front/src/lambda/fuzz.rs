//! What the fuzz targets of the Lambda API do.

use std::io::{Cursor, Write as _};

use millrace_catalog::Place;
use millrace_types::KIB;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::names::{self, Namespaced};
use super::package::{self, Limits};
use crate::error::ApiError;

const LIMITS: Limits = Limits { bytes_max: 256 * KIB, ratio_max: 100, ratio_free_bytes: 16 * KIB };

/// Opens a package.
pub(crate) fn package(data: &[u8]) -> Result<(), ApiError> {
    let module = package::unpacked(data, LIMITS)?;
    assert!(module.starts_with(b"\0asm") && module.len() <= LIMITS.bytes_max);
    assert!(module.len() <= LIMITS.ratio_free_bytes.max(data.len().saturating_mul(LIMITS.ratio_max)), "bounded");
    Ok(())
}

/// Takes a name apart in both readings; what is found names the same when it is put together again.
pub(crate) fn name(text: &str) -> Result<(), ApiError> {
    assert!(names::resource(text).is_none_or(|_| text.len() > 3), "an ARN has its parts");
    let place = Place { region: "us-east-1".into(), account_id: "000000000000".into() };
    if names::parse(text, Namespaced::No).is_some() {
        assert!(names::parse(text, Namespaced::Yes).is_some(), "the wider pattern takes all of the narrower one");
    }
    let (target, is_qualified) = names::target(&place, text, None)?;
    let arn = names::target_arn(&place, &target);
    let (again, is_qualified_again) = names::target(&place, &arn, None)?;
    assert_eq!(again, target);
    assert!(is_qualified || !is_qualified_again);
    Ok(())
}

/// Packages of every kind.
pub(crate) fn some_packages() -> Vec<Vec<u8>> {
    let entries = |method, names: &[&str]| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for name in names {
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).expect("an entry");
            zip.write_all(b"\0asm\x01\0\0\0").expect("memory takes it");
            zip.write_all(&[0; 3 * KIB]).expect("memory takes it");
        }
        zip.finish().expect("a zip").into_inner()
    };
    vec![
        entries(CompressionMethod::Deflated, &["f.wasm"]),
        entries(CompressionMethod::Stored, &["a/f.wasm"]),
        entries(CompressionMethod::Deflated, &["a.wasm", "../b.wasm"]),
    ]
}
