//! vhost-user vNICs: the front door for guests, their memory, and their rings as queues.

pub mod memory;
pub mod ring;
