use std::time::Duration;

use crate::bandwidth::Bandwidth;

/// What a link does to packets. The default is a link that does nothing to them: unlimited bandwidth, no delay, no
/// losses. Probabilities are per packet, from 0 (never) to 1 (always).
///
/// A packet first waits in the queue, then takes `bytes × 8 / bandwidth` to be sent, and then `delay` and its jitter to
/// arrive. What is drawn for it (loss, jitter, reordering, duplicate) is drawn when it is sent, and with it its delay
/// is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conditions {
    /// What the link sends in a second. Default: unlimited.
    pub bandwidth: Bandwidth,
    /// One-way propagation delay, for every packet. Default: 0.
    pub delay: Duration,
    /// Standard deviation σ of what is added to `delay`: |N(0, σ²)|, at most 3 σ (0.8 σ on average), drawn for
    /// each packet. Jitter alone reorders nothing: what would overtake arrives with the packet before it. RFC 8868
    /// recommends 5 ms. Default: 0.
    pub jitter: Duration,
    /// Packets that are overtaken. Default: none.
    pub reordering: Option<Reordering>,
    /// Probability of a loss, each independent of the others. What is lost has been sent all the same: it takes its
    /// place in the queue and its time on the link. Default: 0.
    pub loss: f64,
    /// Losses in bursts, beside `loss`. Default: none.
    pub bursts: Option<GilbertElliott>,
    /// Probability that a packet arrives twice. The copy takes no bandwidth, and comes right after it. Default: 0.
    pub duplicates: f64,
    /// How much may wait. Default: 300 ms and 10 MB.
    pub queue: QueueLimit,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            bandwidth: Bandwidth::UNLIMITED,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            reordering: None,
            loss: 0.0,
            bursts: None,
            duplicates: 0.0,
            queue: QueueLimit::default(),
        }
    }
}

/// Now and then a packet is held back, and overtaken by those sent within `delay` after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reordering {
    /// Probability that a packet is held back.
    pub probability: f64,
    /// For how long, in addition to its delay.
    pub delay: Duration,
}

/// A drop-tail queue. A packet that comes while the link is busy is dropped if it would exceed one of these limits;
/// what is in the queue stays there, also if it takes longer once the bandwidth is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimit {
    /// How long it may take to send everything in the queue at the present bandwidth, the new packet included. At
    /// bandwidth 0, the last other bandwidth counts. Default: 300 ms, as in RFC 8867.
    pub time: Duration,
    /// How many bytes there may be, those of the packet being sent included. Default: 10,000,000.
    pub bytes: usize,
}

impl Default for QueueLimit {
    fn default() -> Self {
        Self { time: Duration::from_millis(300), bytes: 10_000_000 }
    }
}

/// Losses in bursts: a Markov chain of two states that moves once per packet, after it, and begins in the good one
/// (Gilbert 1960, "Capacity of a Burst-Noise Channel"; Elliott 1963, "Estimates of Error Rates for Codes on Burst-Noise
/// Channels").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GilbertElliott {
    /// Probability of the step from good to bad.
    pub good_to_bad: f64,
    /// Probability of the step from bad to good: bad times last 1 / `bad_to_good` packets on average.
    pub bad_to_good: f64,
    /// Probability of a loss in the good state; 0 in Gilbert's model.
    pub loss_in_good: f64,
    /// Probability of a loss in the bad state; 1 in the simple Gilbert model.
    pub loss_in_bad: f64,
}

impl GilbertElliott {
    /// The simple Gilbert model, which loses all in the bad state and nothing in the good one: the part `loss` (below
    /// 1) of all packets, `length` (from 1 on) in a row on average.
    pub fn bursts(loss: f64, length: f64) -> Self {
        let bad_to_good = 1.0 / length;
        let good_to_bad = bad_to_good * loss / (1.0 - loss);
        Self { good_to_bad, bad_to_good, loss_in_good: 0.0, loss_in_bad: 1.0 }
    }

    /// The part of all packets that is lost in the long run.
    pub fn average_loss(&self) -> f64 {
        let bad = self.good_to_bad / (self.good_to_bad + self.bad_to_good);
        bad * self.loss_in_bad + (1.0 - bad) * self.loss_in_good
    }
}
