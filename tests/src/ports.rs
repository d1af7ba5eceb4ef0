//! Ports for servers that must get the same one again after a kill.

use std::net::TcpListener;

use millrace_types::{Entropy, SystemEntropy};

/// Where ports are sought: below those that Linux gives to outgoing connections (`ip_local_port_range`),
/// one of which may otherwise sit on the port of a server that is down for a moment.
const PORTS: std::ops::Range<u16> = 12_000..32_000;
/// Ports that are tried before giving up.
const ATTEMPTS_MAX: u32 = 1_000;

/// `count` different ports of loopback that nobody listens on now.
///
/// # Errors
/// When there are none.
pub fn free(count: usize) -> anyhow::Result<Vec<u16>> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..ATTEMPTS_MAX {
        if held.len() == count {
            break;
        }
        let offset = SystemEntropy.next_u64() % u64::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(offset)?;
        // Held until all are found, so that none comes twice.
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    anyhow::ensure!(held.len() == count, "no {count} free ports in {PORTS:?}");
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_lie_below_the_outgoing_ones() {
        let mut ports = free(20).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
        assert!(ports.iter().all(|port| PORTS.contains(port)));
    }
}
