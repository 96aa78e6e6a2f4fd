//! Sending and receiving allocate nothing once their buffers exist.

use std::time::{Duration, Instant};

use visavis_net::{ReceiveBuffers, Sender, UdpEndpoint};

#[test]
fn a_steady_stream_allocates_nothing_at_the_kernels_edge() {
    let from = UdpEndpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = UdpEndpoint::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (mut sender, mut buffers) = (Sender::default(), ReceiveBuffers::default());
    let mut frame = || {
        for _ in 0..8 {
            sender.queue(&from, None, to.local_addr(), 1_180).fill(7);
        }
        sender.queue(&from, None, to.local_addr(), 300).fill(7);
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
    let counted = allocation_counter::measure(|| (0..200).for_each(|_| frame()));
    assert_eq!(counted.count_total, 0);
}
