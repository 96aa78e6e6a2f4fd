//! Sending and receiving allocate nothing once their buffers exist.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use visavis_net::{ReceiveBuffers, Sender, UdpEndpoint};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is handed to the system's allocator unchanged; counting touches nothing but a
// thread-local number that needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_steady_stream_allocates_nothing_at_the_kernels_edge() {
    let from = UdpEndpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = UdpEndpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (mut sender, mut buffers) = (Sender::default(), ReceiveBuffers::default());
    let packet = [7; 1_180];
    let mut frame = || {
        for _ in 0..8 {
            sender.queue(&from, None, to.local_addr(), &packet);
        }
        sender.queue(&from, None, to.local_addr(), &packet[..300]);
        sender.flush(&from);
        let (mut received, until) = (0, Instant::now() + Duration::from_secs(5));
        while received < 9 && Instant::now() < until {
            buffers.fill(&to).unwrap();
            received += buffers.datagrams().filter(|datagram| datagram.contents[0] == 7).count();
        }
        assert_eq!(received, 9);
    };
    for _ in 0..10 {
        frame();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..200 {
        frame();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
