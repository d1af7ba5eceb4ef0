//! One group commit: frames of many requests, written at once, and who waits for them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use millrace_types::{Batch, Counts, Seq, ShardId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::frame::Body;
use crate::index::FrameRef;
use crate::store::Store;
use crate::{Commit, Error, Intent};

/// Columns up to this size are copied beside their header: cheaper than a buffer of their own.
const COPY_BYTES_MAX: usize = 4096;

pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What the writer is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// Records of one caller: one frame, or several that are valid together only.
    Append {
        shard: ShardId,
        frames: Vec<(Batch, Body)>,
        permit: OwnedSemaphorePermit,
        answer: Answer<Seq>,
    },
    Intent {
        intent: Intent,
        body: Body,
        answer: Answer<()>,
    },
    Commit {
        commit: Commit,
        body: Body,
        answer: Answer<()>,
    },
    Retire {
        shard: ShardId,
        body: Body,
        answer: Answer<Counts>,
    },
    Close {
        answer: oneshot::Sender<()>,
    },
}

/// What becomes true when the group is durable.
#[derive(Debug)]
enum Entry {
    Append {
        shard: ShardId,
        first: Seq,
        frames: Vec<(FrameRef, Arc<Batch>)>,
        answer: Answer<Seq>,
        /// The bytes count as queued until the answer is sent.
        _permit: OwnedSemaphorePermit,
    },
    Intent {
        intent: Intent,
        answer: Answer<()>,
    },
    Commit {
        commit: Commit,
        answer: Answer<()>,
    },
    Retire {
        shard: ShardId,
        answer: Answer<Counts>,
    },
}

#[derive(Debug)]
enum Part {
    Small(Range<usize>),
    Shared(Bytes),
}

/// Frames that are written together.
#[derive(Debug, Default)]
pub(super) struct Group {
    small: Vec<u8>,
    small_from: usize,
    parts: Vec<Part>,
    bytes: u64,
    entries: Vec<Entry>,
}

/// Where a group's frames go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    /// Where the group begins in its segment.
    pub(super) offset: u64,
    /// Everything below is durable.
    pub(super) synced: u64,
    pub(super) salt: u64,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn frame(&mut self, target: Target, body: &Body) -> FrameRef {
        let header = body.header(target.synced);
        let frame = FrameRef::new(target.offset + self.bytes, &header);
        self.bytes += u64::from(frame.bytes);
        self.small.extend_from_slice(&header.encode(target.salt));
        self.small.extend_from_slice(&body.head);
        self.column(&body.payload);
        self.column(&body.keys);
        self.small.extend_from_slice(body.padding());
        frame
    }

    fn column(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_BYTES_MAX {
            self.small.extend_from_slice(bytes);
        } else {
            self.parts.push(Part::Small(self.small_from..self.small.len()));
            self.parts.push(Part::Shared(bytes.clone()));
            self.small_from = self.small.len();
        }
    }

    /// Adds records that begin at `first`.
    pub(super) fn append(
        &mut self,
        target: Target,
        shard: ShardId,
        first: Seq,
        frames: Vec<(Batch, Body)>,
        permit: OwnedSemaphorePermit,
        answer: Answer<Seq>,
    ) {
        let mut at = first;
        let mut placed = Vec::with_capacity(frames.len());
        for (mut batch, mut body) in frames {
            batch.set_first(at);
            body.first = at.get();
            at = batch.end();
            placed.push((self.frame(target, &body), Arc::new(batch)));
        }
        self.entries.push(Entry::Append { shard, first, frames: placed, answer, _permit: permit });
    }

    pub(super) fn intent(&mut self, target: Target, intent: Intent, body: &Body, answer: Answer<()>) {
        self.frame(target, body);
        self.entries.push(Entry::Intent { intent, answer });
    }

    pub(super) fn commit(&mut self, target: Target, commit: Commit, body: &Body, answer: Answer<()>) {
        self.frame(target, body);
        self.entries.push(Entry::Commit { commit, answer });
    }

    pub(super) fn retire(&mut self, target: Target, shard: ShardId, body: &Body, answer: Answer<Counts>) {
        self.frame(target, body);
        self.entries.push(Entry::Retire { shard, answer });
    }

    /// The buffers to write, in order.
    pub(super) fn buffers(&self) -> Vec<&[u8]> {
        let last = &self.small[self.small_from..];
        let parts = self.parts.iter().map(|part| match part {
            Part::Small(range) => &self.small[range.clone()],
            Part::Shared(bytes) => &bytes[..],
        });
        parts.chain(std::iter::once(last)).filter(|buffer| !buffer.is_empty()).collect()
    }

    /// The group is durable in segment `number`: it becomes true.
    pub(super) fn publish(self, store: &mut Store, number: u64) -> Answers {
        let mut answers = Vec::with_capacity(self.entries.len());
        let mut woken: Vec<ShardId> = Vec::new();
        for entry in self.entries {
            answers.push(match entry {
                Entry::Append { shard, first, frames, answer, _permit } => {
                    for (frame, batch) in frames {
                        store.append(shard, batch, number, frame);
                    }
                    woken.push(shard);
                    Done::Seq(answer, first, _permit)
                }
                Entry::Intent { intent, answer } => {
                    store.intent(intent);
                    Done::Unit(answer)
                }
                Entry::Commit { commit, answer } => {
                    store.commit(&commit);
                    Done::Unit(answer)
                }
                Entry::Retire { shard, answer } => Done::Counts(answer, store.retire(shard)),
            });
        }
        woken.sort_unstable();
        woken.dedup();
        woken.into_iter().for_each(|shard| store.wake(shard));
        Answers(answers)
    }

    /// The group is not durable: all who wait are told.
    pub(super) fn fail(self, error: impl Fn() -> Error) {
        for entry in self.entries {
            match entry {
                Entry::Append { answer, .. } => drop(answer.send(Err(error()))),
                Entry::Intent { answer, .. } | Entry::Commit { answer, .. } => drop(answer.send(Err(error()))),
                Entry::Retire { answer, .. } => drop(answer.send(Err(error()))),
            }
        }
    }
}

enum Done {
    Seq(Answer<Seq>, Seq, OwnedSemaphorePermit),
    Unit(Answer<()>),
    Counts(Answer<Counts>, Counts),
}

/// Answers of a durable group.
pub(super) struct Answers(Vec<Done>);

impl Answers {
    /// Tells all who wait. A caller that went away does not want to know.
    pub(super) fn send(self) {
        for done in self.0 {
            match done {
                Done::Seq(answer, first, _permit) => drop(answer.send(Ok(first))),
                Done::Unit(answer) => drop(answer.send(Ok(()))),
                Done::Counts(answer, counts) => drop(answer.send(Ok(counts))),
            }
        }
    }
}
