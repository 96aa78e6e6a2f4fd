//! Media loops: threads that own a UDP socket, TCP connections, and the peers on them. One is the rule; more share out the
//! viewers of a host that has cores to spare.

pub(crate) mod addresses;
pub(crate) mod command;
pub(crate) mod connections;
pub(crate) mod draining;
mod egress;
pub(crate) mod follow;
pub(crate) mod loop_rings;
pub(crate) mod media_loop;
mod ready_queue;
mod sending;
mod session;
mod splice;
mod stages;
pub(crate) mod waker;
