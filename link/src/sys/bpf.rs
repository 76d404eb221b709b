//! bpf(2), as far as an AF_XDP port needs it: a map of sockets, a program of a few instructions, and the link that keeps
//! the program at an interface for as long as its descriptor is open.
//!
//! The instructions are written down here, so that nobody needs a compiler for them or a library that loads objects.

use super::done;
use core::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

// `enum bpf_cmd`, `bpf_map_type`, `bpf_prog_type` and `bpf_attach_type` of linux/bpf.h.
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;
const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;

/// One instruction (`struct bpf_insn`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u8,
    /// Destination in the low four bits, source in the high ones (little-endian machines; the other way round elsewhere).
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    const fn new(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Self {
        let registers = if cfg!(target_endian = "little") {
            destination | source << 4
        } else {
            destination << 4 | source
        };
        Self { code, registers, offset, immediate }
    }
}

/// `bpf_redirect_map(map, context->rx_queue_index, XDP_PASS)`: a frame goes to the socket of the queue that it came in by;
/// where that queue has none, on to the host (5.3).
const fn redirect(map: i32) -> [Instruction; 6] {
    /// `BPF_LDX | BPF_MEM | BPF_W`.
    const LOAD: u8 = 0x61;
    /// `BPF_LD | BPF_IMM | BPF_DW`, which takes two places.
    const LOAD_LONG: u8 = 0x18;
    /// `BPF_ALU64 | BPF_MOV | BPF_K`.
    const MOVE: u8 = 0xb7;
    /// `BPF_JMP | BPF_CALL`.
    const CALL: u8 = 0x85;
    /// `BPF_JMP | BPF_EXIT`.
    const EXIT: u8 = 0x95;
    /// `BPF_PSEUDO_MAP_FD`: the constant is a descriptor of a map.
    const MAP_FD: u8 = 1;
    /// `offsetof(struct xdp_md, rx_queue_index)`.
    const QUEUE: i16 = 16;
    const XDP_PASS: i32 = 2;
    const FUNC_REDIRECT_MAP: i32 = 51;
    [
        Instruction::new(LOAD, 2, 1, QUEUE, 0),
        Instruction::new(LOAD_LONG, 1, MAP_FD, 0, map),
        Instruction::new(0, 0, 0, 0, 0),
        Instruction::new(MOVE, 3, 0, 0, XDP_PASS),
        Instruction::new(CALL, 0, 0, 0, FUNC_REDIRECT_MAP),
        Instruction::new(EXIT, 0, 0, 0, 0),
    ]
}

/// Makes the call.
///
/// # Safety
/// `T` is what `union bpf_attr` is for this command, as far as it goes, without padding; pointers in it are valid for what
/// the command does with them.
unsafe fn bpf<T>(command: libc::c_long, mut attributes: T) -> io::Result<libc::c_int> {
    // SAFETY: the kernel reads size_of::<T>() octets of the attributes, and takes those that it knows of and are not
    // there as zero; what they point to is the caller's promise.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            core::ptr::from_mut(&mut attributes),
            size_of::<T>() as libc::c_long,
        )
    };
    let result = result as libc::c_int;
    done(result).map(|()| result)
}

/// The descriptor that a call made.
///
/// # Safety
/// It is a new one.
unsafe fn owned(fd: libc::c_int) -> OwnedFd {
    // SAFETY: the caller's promise: nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A map from queues to AF_XDP sockets.
#[derive(Debug)]
pub(crate) struct SocketMap(OwnedFd);

impl SocketMap {
    /// One for so many queues.
    pub(crate) fn new(queues: u32) -> io::Result<Self> {
        #[repr(C)]
        struct Attributes {
            map_type: u32,
            key_size: u32,
            value_size: u32,
            max_entries: u32,
        }
        let word = size_of::<u32>() as u32;
        let attributes =
            Attributes { map_type: MAP_TYPE_XSKMAP, key_size: word, value_size: word, max_entries: queues };
        // SAFETY: the first members of the attributes of this command, four words; a new descriptor comes back.
        unsafe { bpf(MAP_CREATE, attributes).map(|fd| Self(owned(fd))) }
    }

    /// Frames of this queue go to this socket, until it is closed.
    pub(crate) fn set(&self, queue: u32, socket: impl AsFd) -> io::Result<()> {
        #[repr(C)]
        struct Attributes<'a> {
            map_fd: u32,
            zero: u32,
            key: Address<'a, u32>,
            value: Address<'a, u32>,
            flags: u64,
        }
        let value = socket.as_fd().as_raw_fd().cast_unsigned();
        let attributes = Attributes {
            map_fd: self.0.as_raw_fd().cast_unsigned(),
            zero: 0,
            key: Address::of(&queue),
            value: Address::of(&value),
            flags: 0,
        };
        // SAFETY: the attributes of this command; it reads a key and a value, which are words and outlive the call.
        unsafe { bpf(MAP_UPDATE_ELEM, attributes) }.map(drop)
    }
}

/// An address as bpf(2) takes it: 64 bits on every machine.
#[repr(transparent)]
struct Address<'a, T: ?Sized>(u64, core::marker::PhantomData<&'a T>);

impl<'a, T: ?Sized> Address<'a, T> {
    fn of(place: &'a T) -> Self {
        Self(core::ptr::from_ref(place).cast::<()>().addr() as u64, core::marker::PhantomData)
    }
}

/// The program that gives frames to the sockets of a map.
#[derive(Debug)]
pub(crate) struct Redirect(OwnedFd);

impl Redirect {
    /// Loads it.
    pub(crate) fn load(map: &SocketMap) -> io::Result<Self> {
        #[repr(C)]
        struct Attributes<'a> {
            prog_type: u32,
            insn_cnt: u32,
            insns: Address<'a, [Instruction; 6]>,
            license: Address<'a, CStr>,
            log_level: u32,
            log_size: u32,
            log_buf: u64,
            kern_version: u32,
            prog_flags: u32,
            prog_name: [u8; 16],
            prog_ifindex: u32,
            expected_attach_type: u32,
        }
        let program = redirect(map.0.as_raw_fd());
        let attributes = Attributes {
            prog_type: PROG_TYPE_XDP,
            insn_cnt: program.len() as u32,
            insns: Address::of(&program),
            // None of its calls is for GPL programs only.
            license: Address::of(c"Apache-2.0"),
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: 0,
            prog_name: *b"niv_redirect\0\0\0\0",
            prog_ifindex: 0,
            expected_attach_type: ATTACH_XDP,
        };
        // SAFETY: the first members of the attributes of this command; it reads `insn_cnt` instructions and a C string, which
        // outlive the call, writes no log, and a new descriptor comes back.
        unsafe { bpf(PROG_LOAD, attributes).map(|fd| Self(owned(fd))) }
    }

    /// Puts it at the interface with this index: in its driver (`native`), or in front of the host's protocols. It is there
    /// until what is returned is dropped, or the process ends.
    pub(crate) fn attach(&self, index: u32, native: bool) -> io::Result<OwnedFd> {
        #[repr(C)]
        struct Attributes {
            prog_fd: u32,
            target_ifindex: u32,
            attach_type: u32,
            flags: u32,
        }
        /// `XDP_FLAGS_SKB_MODE`.
        const GENERIC: u32 = 1 << 1;
        /// `XDP_FLAGS_DRV_MODE`.
        const DRIVER: u32 = 1 << 2;
        let attributes = Attributes {
            prog_fd: self.0.as_raw_fd().cast_unsigned(),
            target_ifindex: index,
            attach_type: ATTACH_XDP,
            flags: if native { DRIVER } else { GENERIC },
        };
        // SAFETY: the first members of the attributes of this command, four words; a new descriptor comes back.
        unsafe { bpf(LINK_CREATE, attributes).map(|fd| owned(fd)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_what_an_assembler_makes_of_it() {
        let octets: Vec<u8> = redirect(0x0102_0304)
            .iter()
            .flat_map(|i| {
                let head = [i.code, i.registers];
                [&head[..], &i.offset.to_le_bytes(), &i.immediate.to_le_bytes()].concat()
            })
            .collect();
        // As `llvm-objdump -d` shows it on a little-endian machine: r2 = *(u32 *)(r1 + 16); r1 = map ll; r3 = 2; call 51; exit.
        let expected = [
            [0x61, 0x12, 0x10, 0, 0, 0, 0, 0],
            [0x18, 0x11, 0, 0, 4, 3, 2, 1],
            [0, 0, 0, 0, 0, 0, 0, 0],
            [0xb7, 0x03, 0, 0, 2, 0, 0, 0],
            [0x85, 0, 0, 0, 51, 0, 0, 0],
            [0x95, 0, 0, 0, 0, 0, 0, 0],
        ];
        assert_eq!(octets, expected.concat());
    }
}
