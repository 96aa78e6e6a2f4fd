//! What a network with flows has carried, second by second.

use std::time::Duration;

use visavis_weather::{Direction, FlowId, Network};

const LOOKS: u64 = 20;

/// What happened in a run.
pub(crate) struct Record {
    /// Mbit/s of each flow that arrived, in each second.
    rates: Vec<Vec<f64>>,
    /// How long the queues of both directions were, in ms, 20 times a second.
    queues: [Vec<f64>; 2],
}

/// Lets seconds go by.
pub(crate) fn record(network: &mut Network, flows: &[(FlowId, Direction)], seconds: u64) -> Record {
    let delivered = |network: &Network| -> Vec<u64> {
        flows.iter().map(|(flow, way)| network.flow(*flow, *way).delivered_bytes).collect()
    };
    let mut record = Record { rates: Vec::new(), queues: [const { Vec::new() }; 2] };
    let begin = network.now();
    for second in 0..seconds {
        let before = delivered(network);
        for look in 1..=LOOKS {
            network.run_until(begin + Duration::from_millis(second * 1_000 + look * 1_000 / LOOKS));
            for direction in [Direction::Forward, Direction::Backward] {
                let queue = network.queue_time(direction).unwrap_or(Duration::MAX);
                record.queues[direction as usize].push(queue.as_secs_f64() * 1e3);
            }
        }
        let rates = delivered(network).into_iter().zip(before);
        record.rates.push(rates.map(|(after, before)| (after - before) as f64 * 8e-6).collect());
    }
    record
}

impl Record {
    /// Mbit/s of a flow on average, from one second to another.
    pub(crate) fn rate(&self, flow: usize, from: u64, until: u64) -> f64 {
        let rates = &self.rates[from as usize..until as usize];
        rates.iter().map(|flows| flows[flow]).sum::<f64>() / rates.len() as f64
    }

    /// How long the forward queue was in 95 of 100 looks, in ms.
    pub(crate) fn queue_p95(&self, from: u64, until: u64) -> f64 {
        self.queue_p95_of(Direction::Forward, from, until)
    }

    /// That of a direction.
    pub(crate) fn queue_p95_of(&self, direction: Direction, from: u64, until: u64) -> f64 {
        let looks = (from * LOOKS) as usize..(until * LOOKS) as usize;
        let mut queues = self.queues[direction as usize][looks].to_vec();
        queues.sort_by(f64::total_cmp);
        queues[(queues.len() - 1) * 95 / 100]
    }
}
