//! A store in memory that does what a test says, and what lies in it, taken apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use millrace_sink::{Buckets, Object, Sink, SinkError, Stored};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How the store answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes everything.
    #[default]
    Fine,
    /// Its buckets are gone.
    Gone,
    /// Answers nothing until its mood changes.
    Silent,
}

/// Objects by key.
#[derive(Debug, Default)]
pub(crate) struct Store {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    mood: Mutex<Mood>,
    changed: Notify,
    puts: AtomicU64,
    seeds: AtomicU64,
}

impl Store {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock() = mood;
        self.changed.notify_waiters();
    }

    /// A number for each life, so that lives give different ids.
    pub(crate) fn next_seed(&self) -> u64 {
        1 + self.seeds.fetch_add(1, Ordering::SeqCst)
    }

    /// Puts that were begun.
    pub(crate) fn puts(&self) -> u64 {
        self.puts.load(Ordering::SeqCst)
    }

    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects.lock().clone()
    }

    /// Stores an object as if a put had landed of which nobody heard.
    pub(crate) fn insert(&self, key: &str, bytes: Vec<u8>) {
        self.objects.lock().insert(key.to_owned(), bytes);
    }

    /// All lines of data objects, sorted: what was delivered.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = self.lines_where(|key| !key.contains("-failed/"));
        lines.sort_unstable();
        lines
    }

    /// The input records of all lines of error objects, sorted.
    pub(crate) fn failed(&self) -> Vec<String> {
        let lines = self.lines_where(|key| key.contains("-failed/"));
        let mut failed: Vec<String> = lines.iter().map(|line| raw(line)).collect();
        failed.sort_unstable();
        failed
    }

    /// All lines of error objects as they are.
    pub(crate) fn error_lines(&self) -> Vec<String> {
        self.lines_where(|key| key.contains("-failed/"))
    }

    fn lines_where(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let objects = self.objects.lock();
        let bytes = objects.iter().filter(|(key, _)| wanted(key)).map(|(_, bytes)| bytes);
        bytes
            .flat_map(|bytes| String::from_utf8(bytes.clone()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    async fn put(&self, object: &Object) -> Result<Stored, SinkError> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        loop {
            let changed = self.changed.notified();
            let mood = *self.mood.lock();
            match mood {
                Mood::Fine => break,
                Mood::Gone => return Err(SinkError::operator("NoSuchBucket", "there is no bucket of that name")),
                Mood::Silent => changed.await,
            }
        }
        let length = usize::try_from(object.content.len()).unwrap();
        let bytes = object.content.read(0, length).await;
        let bytes = bytes.map_err(|error| SinkError::retry("ContentUnreadable", error.to_string()))?;
        self.objects.lock().insert(object.key.clone(), bytes.to_vec());
        Ok(Stored::default())
    }
}

/// The record in a line of an error object.
fn raw(line: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let raw = base64_simd::STANDARD.decode_to_vec(line["rawData"].as_str().unwrap()).unwrap();
    String::from_utf8(raw).unwrap().trim_end().to_owned()
}

/// Every bucket is the one store; a bucket whose name begins with `dead` is never there.
#[derive(Debug)]
pub(crate) struct AllBuckets(pub(crate) Arc<Store>);

impl Buckets for AllBuckets {
    fn open(&self, bucket: &str) -> Result<Arc<dyn Sink>, SinkError> {
        Ok(Arc::new(Bucket { store: Arc::clone(&self.0), name: bucket.to_owned() }))
    }
}

#[derive(Debug)]
struct Bucket {
    store: Arc<Store>,
    name: String,
}

#[async_trait::async_trait]
impl Sink for Bucket {
    async fn put(&self, object: &Object) -> Result<Stored, SinkError> {
        if self.name.starts_with("dead") {
            return Err(SinkError::operator("NoSuchBucket", format!("there is no bucket {}", self.name)));
        }
        self.store.put(object).await
    }

    fn location(&self) -> String {
        format!("memory://{}", self.name)
    }
}
