//! Temporary: SHA-256 compared.
#![allow(clippy::disallowed_methods, reason="temporary")]
use sha2::Digest as _;
fn main() {
    for size in [64usize, 512, 4096, 65536, 1 << 20, 4 << 20] {
        let body = vec![b'x'; size];
        let rounds = (256usize << 20) / (size + 200);
        for _ in 0..2 {
            let t = std::time::Instant::now();
            let mut x = 0u8;
            for _ in 0..rounds { let mut c = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256); for p in body.chunks(16384) { c.update(p); } x ^= c.finish().as_ref()[0]; }
            let a = t.elapsed();
            let t = std::time::Instant::now();
            for _ in 0..rounds { let mut c = sha2::Sha256::new(); for p in body.chunks(16384) { c.update(p); } x ^= c.finalize()[0]; }
            let b = t.elapsed();
            println!("{size}: aws-lc {:?} {:.2} GB/s, sha2 {:?} {:.2} GB/s {x}", a / rounds as u32, (rounds*size) as f64/a.as_secs_f64()/1e9, b / rounds as u32, (rounds*size) as f64/b.as_secs_f64()/1e9);
        }
    }
}
