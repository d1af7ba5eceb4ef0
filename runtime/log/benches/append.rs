//! Append throughput of the journal on the real disk, beside its floor: the same bytes written to a
//! bare file with the same number of fdatasyncs. `cargo bench --profile release -p millrace-log`.

use std::path::Path;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::BytesCount;
use millrace_log::{Disk, Journal, JournalSettings, RealDisk};
use millrace_types::{BatchBuilder, Lane, ShardId, StreamId, SystemClock};

/// Appends in one round of a benchmark.
const APPENDS: usize = 64;
/// Record sizes, bytes.
const RECORD_BYTES: usize = 512;
/// Records in a batch: a small put, and a full PutRecordBatch.
const RECORDS: [usize; 2] = [1, 500];

fn main() {
    divan::main();
}

/// Where the files lie: beside the build, not in a memory file system.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for the benchmark")
}

fn batch(records: usize) -> millrace_types::Batch {
    let mut builder = BatchBuilder::default();
    for _ in 0..records {
        builder.push(&[7; RECORD_BYTES], 0).expect("fits");
    }
    builder.finish()
}

/// `callers` tasks append at once; group commit shares the syncs.
#[divan::bench(args = RECORDS, consts = [1, 16])]
fn journal<const CALLERS: usize>(bencher: Bencher<'_, '_>, records: usize) {
    let folder = folder();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (journal, _) = Journal::open(
        Arc::new(RealDisk),
        folder.path().join("journal"),
        JournalSettings { headroom_bytes: 0, ..JournalSettings::default() },
        Arc::new(SystemClock),
    )
    .expect("opens");
    let batch = batch(records);
    let shard = ShardId::new(StreamId(1), Lane(0));
    bencher.counter(BytesCount::new(APPENDS * records * RECORD_BYTES)).bench_local(|| {
        runtime.block_on(async {
            for _ in 0..APPENDS / CALLERS {
                let mut appends: Vec<_> =
                    (0..CALLERS).map(|_| Box::pin(journal.append(shard, batch.clone()))).collect();
                std::future::poll_fn(|context| {
                    appends.retain_mut(|append| match append.as_mut().poll(context) {
                        std::task::Poll::Ready(done) => done.is_err(),
                        std::task::Poll::Pending => true,
                    });
                    if appends.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
                })
                .await;
            }
            let next = journal.shard(shard).expect("known").next;
            let done = millrace_log::Commit {
                shard,
                intents: Vec::new(),
                watermark: next,
                counts: millrace_types::Counts::default(),
            };
            journal.commit(done).await.expect("commits");
        });
    });
    runtime.block_on(journal.close());
}

/// The floor: as many bytes, as many syncs.
#[divan::bench(args = RECORDS, consts = [1, 16])]
fn bare_file<const CALLERS: usize>(bencher: Bencher<'_, '_>, records: usize) {
    let folder = folder();
    let bytes = vec![7; records * RECORD_BYTES];
    let mut number = 0;
    let mut file = RealDisk.create(&folder.path().join("0")).expect("creates");
    let mut at = 0;
    bencher.counter(BytesCount::new(APPENDS * records * RECORD_BYTES)).bench_local(|| {
        for _ in 0..APPENDS / CALLERS {
            if at > 64 << 20 {
                number += 1;
                RealDisk.remove(&folder.path().join((number - 1).to_string())).expect("removes");
                file = RealDisk.create(Path::new(&folder.path().join(number.to_string()))).expect("creates");
                at = 0;
            }
            let bufs = vec![&bytes[..]; CALLERS];
            file.write_all_at(&bufs, at).expect("writes");
            file.sync_data().expect("syncs");
            at += (bytes.len() * CALLERS) as u64;
        }
    });
}
