//! The lab: real QEMU guests, real processes, one supervisor that owns them all.
//!
//! | module | what it knows |
//! |---|---|
//! | [`cli`] | the subcommands and their help |
//! | [`paths`] | where things are; everything generated lives under `target/lab/` |
//! | [`say`] | what a person sees |
//! | [`packages`] | Debian packages: what is missing, and getting it |
//! | [`kernel`], [`image`] | the guest's kernel and its initial RAM disk |
//! | [`agent`], [`inside`] | running commands in a guest: the near and the far end |
//! | [`process`] | children that never outlive the lab, with a log each |
//! | [`cleanup`] | what a killed run leaves behind, and Ctrl-C |
//! | [`guest`], [`monitor`] | one QEMU process, and what it is told while it runs |
//! | [`topology`] | who is in the lab: adapters, switch, guests, addresses, their configuration files |
//! | [`running`] | the lab running: start in order, stop in order |
//! | [`given`] | whom the switch found, and what it gave the guests: VIFs and interfaces |
//! | [`facts`], [`wire`] | what is shown of it: reachability and throughput, and what the capture holds |
//! | [`checksums`] | whether TCP on a link is complete, by tshark's reading |
//! | [`carrier`] | what a guest sees of its link, and whether its clock goes |
//! | [`balance`] | that no frame is lost in silence |
//! | [`man`] | manual pages and shell completion |
//! | [`demo`], [`up`], [`check`], [`mod@bench`] | the subcommands themselves |

pub mod agent;
pub(crate) mod balance;
pub(crate) mod bench;
pub mod carrier;
pub(crate) mod check;
pub mod checksums;
pub(crate) mod cleanup;
pub mod cli;
pub(crate) mod demo;
pub(crate) mod facts;
pub(crate) mod given;
pub mod guest;
pub(crate) mod image;
pub(crate) mod inside;
pub(crate) mod kernel;
pub mod man;
pub mod monitor;
pub(crate) mod packages;
pub mod paths;
pub(crate) mod process;
pub(crate) mod running;
pub(crate) mod say;
pub(crate) mod topology;
pub(crate) mod up;
pub(crate) mod wire;
