//! System calls, by seccomp(2).
//!
//! Three filters, of which the strictest answer counts. A call that is not in [`CALLS`] ends the process: nothing here, in
//! the C library or in a module of its user database makes it, so whoever does has taken the process over. Arguments
//! are another matter, for a module may try what it can do without: there the call fails. `clone3`, whose arguments a
//! filter cannot see, is said not to exist, and the C library takes `clone`.

use libc::{c_int, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use std::collections::BTreeMap;
use std::io;

/// What is called on every architecture: what strace saw of confined daemons at work, and in the last groups what it did not see.
#[rustfmt::skip]
const CALLS: &[c_long] = &[
    // Descriptors.
    libc::SYS_read, libc::SYS_pread64, libc::SYS_write, libc::SYS_writev, libc::SYS_pwrite64,
    libc::SYS_close, libc::SYS_fcntl, libc::SYS_ioctl, libc::SYS_lseek, libc::SYS_eventfd2, libc::SYS_pidfd_open,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_epoll_pwait2, libc::SYS_ppoll,
    // Files.
    libc::SYS_openat, libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_fstatfs, libc::SYS_getdents64,
    libc::SYS_readlinkat, libc::SYS_getcwd, libc::SYS_flock, libc::SYS_ftruncate, libc::SYS_fsync, libc::SYS_fdatasync,
    libc::SYS_mkdirat, libc::SYS_unlinkat, libc::SYS_renameat, libc::SYS_linkat, libc::SYS_fchmodat, libc::SYS_fchownat,
    // Sockets.
    libc::SYS_socket, libc::SYS_socketpair, libc::SYS_bind, libc::SYS_listen, libc::SYS_accept4, libc::SYS_connect,
    libc::SYS_shutdown, libc::SYS_getsockopt, libc::SYS_setsockopt, libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_sendmmsg,
    libc::SYS_recvfrom, libc::SYS_recvmsg, libc::SYS_recvmmsg,
    // Memory.
    libc::SYS_brk, libc::SYS_mmap, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_mprotect, libc::SYS_madvise,
    libc::SYS_memfd_create,
    // Threads, and this process.
    libc::SYS_clone, libc::SYS_clone3, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_futex, libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity, libc::SYS_prctl, libc::SYS_gettid, libc::SYS_getpid, libc::SYS_geteuid,
    libc::SYS_getrandom, libc::SYS_exit, libc::SYS_exit_group,
    // Signals and time.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    libc::SYS_clock_gettime, libc::SYS_clock_nanosleep,
    // Not seen: workers that `cpus` binds; threads whose stack is measured; an abort; a C library that sleeps in another way;
    // a clock that cannot be read without a call.
    libc::SYS_sched_setaffinity, libc::SYS_prlimit64, libc::SYS_tgkill, libc::SYS_nanosleep, libc::SYS_gettimeofday,
    // Not seen: what modules of the user database do (nscd, sssd, systemd, nslcd), and the C library when it loads one.
    libc::SYS_readv, libc::SYS_dup, libc::SYS_pselect6, libc::SYS_timerfd_create, libc::SYS_timerfd_settime,
    libc::SYS_faccessat, libc::SYS_getuid, libc::SYS_getgid, libc::SYS_getegid, libc::SYS_uname, libc::SYS_sysinfo,
];

/// Older forms, which newer architectures do without.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLDER: &[c_long] = &[
    libc::SYS_open, libc::SYS_readlink, libc::SYS_mkdir, libc::SYS_unlink, libc::SYS_rename, libc::SYS_chmod, libc::SYS_chown,
    libc::SYS_epoll_wait,
    // Not seen: other C libraries, and modules of the user database.
    libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_poll, libc::SYS_select, libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[c_long] = &[];

/// Requests that `ioctl` is called with.
#[rustfmt::skip]
const REQUESTS: &[u64] = &[
    libc::TCGETS, libc::FIONBIO, libc::FIONREAD,
    libc::SIOCGIFINDEX, libc::SIOCGIFFLAGS, libc::SIOCSIFFLAGS, libc::SIOCGIFMTU, libc::SIOCSIFMTU,
    libc::TUNSETIFF, libc::TUNSETVNETHDRSZ, libc::TUNSETOFFLOAD,
];

/// Options of `prctl`: the names of threads and of memory.
const OPTIONS: &[c_int] =
    &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS];

/// Families of sockets.
const FAMILIES: &[c_int] = &[libc::AF_UNIX, libc::AF_NETLINK, libc::AF_PACKET];

/// What a thread that opens AF_XDP devices calls beside that: bpf(2), the requests of ethtool, and a family of sockets.
const XDP_REQUEST: u64 = libc::SIOCETHTOOL;
const XDP_FAMILY: c_int = libc::AF_XDP;
/// Commands of bpf(2): `BPF_MAP_CREATE`, `BPF_MAP_UPDATE_ELEM`, `BPF_PROG_LOAD`, `BPF_LINK_CREATE`.
const XDP_COMMANDS: &[c_int] = &[0, 2, 5, 28];

/// Filters the calls of this thread, and of the threads that it will start, from now on; `xdp`: it opens AF_XDP devices.
pub(super) fn filter(xdp: bool) -> io::Result<()> {
    for program in programs(xdp).map_err(io::Error::other)? {
        apply_filter(&program).map_err(|error| match error {
            seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error) => error,
            other => io::Error::other(other),
        })?;
    }
    Ok(())
}

/// The programs. The last one is the one behind which no other can be put.
fn programs(xdp: bool) -> Result<[BpfProgram; 3], seccompiler::BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let missing = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let loading: &[c_long] = if xdp { &[libc::SYS_bpf] } else { &[] };
    let known = CALLS.iter().chain(OLDER).chain(loading).map(|call| (*call, Vec::new())).collect();
    let refuse = |error: c_int| SeccompAction::Errno(error.unsigned_abs());
    Ok([
        SeccompFilter::new(missing, SeccompAction::Allow, refuse(libc::ENOSYS), arch)?.try_into()?,
        SeccompFilter::new(wrong_arguments(xdp)?, SeccompAction::Allow, refuse(libc::EPERM), arch)?
            .try_into()?,
        SeccompFilter::new(known, SeccompAction::KillProcess, SeccompAction::Allow, arch)?.try_into()?,
    ])
}

/// Arguments that fail: a rule is met by what it describes.
fn wrong_arguments(xdp: bool) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpOp::{MaskedEq, Ne};
    let (word, long) = (|| SeccompCmpArgLen::Dword, || SeccompCmpArgLen::Qword);
    let is = SeccompCondition::new;
    let none_of = |argument, values: &mut dyn Iterator<Item = u64>| {
        SeccompRule::new(values.map(|value| is(argument, word(), Ne, value)).collect::<Result<_, _>>()?)
    };
    let numbers = |values: &'static [c_int]| values.iter().map(|value| u64::from(value.unsigned_abs()));
    let flags = |flags: c_int| u64::from(flags.unsigned_abs());
    let this = u64::from(std::process::id());
    let (execute, both) = (flags(libc::PROT_EXEC), flags(libc::PROT_WRITE | libc::PROT_EXEC));
    let one = |condition| SeccompRule::new(vec![condition]);
    let families: &[c_int] = if xdp { &[XDP_FAMILY] } else { &[] };
    let requests: &[u64] = if xdp { &[XDP_REQUEST] } else { &[] };
    Ok(BTreeMap::from([
        (libc::SYS_bpf, vec![none_of(0, &mut numbers(XDP_COMMANDS))?]),
        (libc::SYS_socket, vec![none_of(0, &mut numbers(FAMILIES).chain(numbers(families)))?]),
        (libc::SYS_socketpair, vec![none_of(0, &mut numbers(&[libc::AF_UNIX]))?]),
        (libc::SYS_ioctl, vec![none_of(1, &mut REQUESTS.iter().chain(requests).copied())?]),
        (libc::SYS_prctl, vec![none_of(0, &mut numbers(OPTIONS))?]),
        // Threads, no processes.
        (libc::SYS_clone, vec![one(is(0, long(), MaskedEq(flags(libc::CLONE_THREAD)), 0)?)?]),
        // No mapping that is writable and executable, or becomes executable. Files may be mapped to be executed, as modules of
        // the C library are; so may what was written to a file or memfd before.
        (libc::SYS_mmap, vec![one(is(2, long(), MaskedEq(both), both)?)?]),
        (libc::SYS_mprotect, vec![one(is(2, long(), MaskedEq(execute), execute)?)?]),
        // No other process.
        (libc::SYS_prlimit64, vec![none_of(0, &mut [0, this].into_iter())?]),
        (libc::SYS_tgkill, vec![none_of(0, &mut [this].into_iter())?]),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_compile_and_are_small() {
        for programs in [false, true].map(|xdp| programs(xdp).unwrap()) {
            // The kernel takes 4,096 instructions.
            assert!(programs.iter().all(|program| program.len() < 1024), "{:?}", programs.map(|p| p.len()));
        }
    }

    #[test]
    fn no_call_is_there_that_starts_another_program_or_leaves_the_box() {
        let all: Vec<c_long> = CALLS.iter().chain(OLDER).copied().collect();
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_seccomp,
            libc::SYS_capset,
            libc::SYS_kill,
        ] {
            assert!(!all.contains(&call), "{call}");
        }
        let mut sorted = all.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), all.len(), "a call is there twice");
    }
}
