use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use mio::unix::SourceFd;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use crate::source::registered_as;

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR` of rtnetlink(7).
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// Messages taken at a time. More of them say the same.
const BUDGET: usize = 256;

/// Readable when addresses of this machine's interfaces come or go, or interfaces do. Says no more than that: what
/// there is now is asked of the system (`getifaddrs`).
#[derive(Debug)]
pub struct AddressChanges {
    fd: OwnedFd,
}

impl AddressChanges {
    /// Listens to the kernel, in this thread's network namespace.
    ///
    /// # Errors
    ///
    /// Where the system has no netlink, or refuses it, as some sandboxes do.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol it is `NETLINK_ROUTE`.
        let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        bind(&fd, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { fd })
    }

    /// Takes what was told so far; true if there was anything.
    pub fn take(&self) -> bool {
        let mut buffer = [0; 4_096];
        let mut any = false;
        for _ in 0..BUDGET {
            match recv(&self.fd, &mut buffer[..], RecvFlags::empty()) {
                // More was told than there was room for: that is news too.
                Ok(_) | Err(Errno::NOBUFS) => any = true,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        any
    }
}

registered_as!(AddressChanges, |own| SourceFd(&own.fd.as_raw_fd()));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_where_nothing_changes() {
        let changes = AddressChanges::open().unwrap();
        // What other programs on this machine do to its addresses may be told once.
        changes.take();
        assert!(!changes.take());
    }
}
