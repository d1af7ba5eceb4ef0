//! The only place that spawns: async tasks with a name and an owner, blocking calls, and the worker
//! threads on which guests, compression and disk reads run. Also: shutdown, told to all by one flag.

mod shutdown;
mod tasks;
mod workers;

pub use shutdown::{Shutdown, ShutdownTrigger};
pub use tasks::{Tasks, blocking, thread};
pub use workers::{Workers, WorkersGone};
