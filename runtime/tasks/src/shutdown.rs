//! Shutdown: one flag, set once, that any number of tasks wait for.

use tokio::sync::watch;

/// Sets the flag. Dropping it sets it too, so that nobody waits for an owner that is gone.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Waits for the flag.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl ShutdownTrigger {
    /// A trigger and the first of its waiters.
    #[must_use]
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Tells all waiters to stop.
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

impl Drop for ShutdownTrigger {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Shutdown {
    /// True once shutdown began.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when shutdown begins; at once when it has begun.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, which is shutdown as well.
        drop(self.0.wait_for(|set| *set).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiters_wake_on_the_flag_and_on_a_dropped_trigger() {
        let (trigger, shutdown) = ShutdownTrigger::new();
        assert!(!shutdown.is_set());
        trigger.shut_down();
        shutdown.clone().wait().await;
        assert!(shutdown.is_set());

        let (trigger, mut shutdown) = ShutdownTrigger::new();
        drop(trigger);
        shutdown.wait().await;
    }
}
