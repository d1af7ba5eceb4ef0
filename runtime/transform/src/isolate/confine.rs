//! A worker's walls: nothing inherited, little memory, no files, and only the system calls that running
//! a function needs. What is not listed ends the process.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus, Scope};
use millrace_types::MIB;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// What a worker needs beside the memory of its function, bytes: the executable's own data, the code of
/// the largest functions, and a batch with its output, each of them twice while it is sent.
const DATA_BYTES: u64 = 768 * MIB as u64;
/// The function's memory that is counted at most, bytes: a slot of the pool has no more.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Open files: the three that it starts with, the socket, and images of memories.
const FILES_MAX: u64 = 64;
/// A file of its own at most, bytes: only images of memories, which have no name, can be made.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// The signal that a process ends itself with.
const SIGABRT: u64 = 6;

/// Files that this process has of right when it starts: the socket and twice the null device.
const OWN: [u64; 3] = [0, 1, 2];
/// Files that it may have inherited beside them, for all of which there is room in the filter.
const INHERITED_MAX: usize = 32;

/// `prctl` options: a thread's name; names of memory areas, which the allocator gives.
const PR_SET_NAME: u64 = 15;
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Files that the server itself was started with and that came down here: whoever started it did not say
/// that they end there. They cannot be closed without `unsafe`; [`deny_calls`] leaves no use of them.
pub(super) fn inherited() -> Result<Vec<u64>, String> {
    let refused = |error: std::io::Error| format!("its open files cannot be listed: {error}");
    let mut further = Vec::new();
    // The listing itself is among them; its number is free again when this ends, and must stay usable.
    let listing = std::path::PathBuf::from(format!("/proc/{}/fd", std::process::id()));
    for entry in std::fs::read_dir("/proc/self/fd").map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let name = entry.file_name();
        let fd = name.to_str().and_then(|name| name.parse().ok()).filter(|fd| !OWN.contains(fd));
        further.extend(fd.filter(|_| std::fs::read_link(entry.path()).ok().as_ref() != Some(&listing)));
    }
    if further.len() > INHERITED_MAX {
        return Err(format!("the server was started with {} further open files", further.len()));
    }
    Ok(further)
}

/// Bounds memory for a function that may have `memory_bytes`; no core is written, nobody attaches.
pub(super) fn limit(memory_bytes: usize) -> Result<(), String> {
    let data = (memory_bytes as u64).min(MEMORY_BYTES_MAX) + DATA_BYTES;
    let bounds =
        [(Resource::Data, data), (Resource::Core, 0), (Resource::Nofile, FILES_MAX), (Resource::Fsize, FILE_BYTES_MAX)];
    for (resource, bound) in bounds {
        setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) })
            .map_err(|error| format!("a limit cannot be set: {error}"))?;
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| format!("it stays open to others: {error}"))
}

/// Denies all files, and as much else as the kernel knows to deny. Holds for threads that start later.
pub(super) fn deny_files() -> Result<(), String> {
    let newest = ABI::V6;
    // The first version is needed; of what came later the kernel gives what it has.
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(|rules| {
            rules
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(newest))?
                .handle_access(AccessNet::from_all(newest))?
                .scope(Scope::from_all(newest))?
                .create()?
                .restrict_self()
        })
        .map_err(|error| format!("Landlock is needed (Linux 5.13): {error}"))?;
    if status.ruleset == RulesetStatus::NotEnforced || !status.no_new_privs {
        return Err("Landlock is needed (Linux 5.13) and is not on".to_owned());
    }
    Ok(())
}

/// System calls on a file, and which argument it is. Files are the socket and images of memories.
const FILE_CALLS: [(i64, u8); 9] = [
    (libc::SYS_read, 0),
    (libc::SYS_write, 0),
    (libc::SYS_recvfrom, 0),
    (libc::SYS_sendto, 0),
    (libc::SYS_close, 0),
    (libc::SYS_fcntl, 0),
    (libc::SYS_ftruncate, 0),
    (libc::SYS_lseek, 0),
    (libc::SYS_mmap, 4),
];
/// All other system calls of a running function, of the allocator and of threads that are there already.
const CALLS: [i64; 24] = [
    libc::SYS_memfd_create,
    // Memory.
    libc::SYS_brk,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads and signals: wasm traps are signals that the process sends itself by what it does.
    libc::SYS_futex,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
];

/// Leaves this process the listed system calls, on all of its threads. Behind this no thread and no
/// process can be started, nothing opened, nobody signalled, and no file of `inherited` used.
pub(super) fn deny_calls(inherited: &[u64]) -> Result<(), String> {
    filter(inherited).and_then(|program| {
        seccompiler::apply_filter_all_threads(&program).map_err(|error| format!("seccomp is needed: {error}"))
    })
}

fn filter(inherited: &[u64]) -> Result<BpfProgram, String> {
    let failed = |error: seccompiler::BackendError| format!("seccomp is needed: {error}");
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let is = |argument, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    let option = |option| SeccompRule::new(vec![is(0, option)?]);
    rules.insert(libc::SYS_prctl, vec![option(PR_SET_NAME).map_err(failed)?, option(PR_SET_VMA).map_err(failed)?]);
    // How a process gives up: a signal to a thread of its own.
    let own = is(0, u64::from(std::process::id())).and_then(|own| SeccompRule::new(vec![own, is(2, SIGABRT)?]));
    rules.insert(libc::SYS_tgkill, vec![own.map_err(failed)?]);
    for (call, argument) in FILE_CALLS {
        let is_not = |fd: &u64| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *fd);
        let conditions: Vec<_> = inherited.iter().map(is_not).collect::<Result<_, _>>().map_err(failed)?;
        let rule = if conditions.is_empty() { Vec::new() } else { vec![SeccompRule::new(conditions).map_err(failed)?] };
        rules.insert(call, rule);
    }
    let arch = std::env::consts::ARCH.try_into().map_err(failed)?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch).map_err(failed)?;
    filter.try_into().map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, ExitStatus, exit};

    /// Says to the child what it is to try.
    const TRY: &str = "MILLRACE_TRY";

    /// Not a test: the life of a child that walls itself in and then does what it is told.
    #[test]
    #[ignore = "started by the tests of walls"]
    fn child() {
        let what = std::env::var(TRY).unwrap();
        let mut file = File::open("/proc/self/status").unwrap();
        let inherited = super::inherited().unwrap();
        super::limit(64 << 20).unwrap();
        super::deny_files().unwrap();
        for path in ["/proc/self/status", "/dev/null", "/tmp"] {
            assert_eq!(File::open(path).unwrap_err().kind(), std::io::ErrorKind::PermissionDenied, "{path}");
        }
        assert!(inherited.contains(&u64::try_from(file.as_raw_fd()).unwrap()));
        super::deny_calls(&inherited).unwrap();
        match what.as_str() {
            "work" => {
                let words: Vec<String> = (0..10_000).map(|n: u32| n.to_string()).collect();
                exit(i32::from(words.concat().len() != 38_890) + 7);
            }
            "file" => drop(File::open("/proc/self/status")),
            "inherited" => drop(file.read(&mut [0; 8])),
            "socket" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
            "process" => drop(Command::new("/bin/true").status()),
            "thread" => drop(std::thread::Builder::new().spawn(|| {})),
            "signal" => drop(rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::CONT)),
            "prctl" => drop(rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)),
            "abort" => std::process::abort(),
            "memory" => drop(std::hint::black_box(vec![1_u8; 3 << 30])),
            other => panic!("{other}"),
        }
        exit(0);
    }

    fn trying(what: &str) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["isolate::confine::tests::child", "--exact", "--ignored", "--nocapture"])
            .env_clear()
            .env(TRY, what)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
    }

    #[test]
    fn what_a_function_does_not_need_ends_the_process() {
        assert_eq!(trying("work").code(), Some(7), "what it needs it may do");
        for what in ["file", "inherited", "socket", "process", "thread", "signal", "prctl"] {
            assert_eq!(trying(what).signal(), Some(31), "{what}");
        }
        for what in ["memory", "abort"] {
            assert_eq!(trying(what).signal(), Some(6), "{what}");
        }
    }

    /// Those that no safe code here can make.
    #[test]
    fn nothing_is_listed_that_reaches_out() {
        let listed: Vec<i64> = super::CALLS.into_iter().chain(super::FILE_CALLS.map(|(call, _)| call)).collect();
        for call in [
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_pidfd_getfd,
            libc::SYS_sendmsg,
            libc::SYS_recvmsg,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_ioctl,
            libc::SYS_execveat,
            libc::SYS_memfd_secret,
        ] {
            assert!(!listed.contains(&call), "{call}");
        }
    }
}
