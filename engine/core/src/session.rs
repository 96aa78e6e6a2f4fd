//! What the viewers of one session share.

use std::time::Instant;

use visavis_types::{
    AudioRenditionSet, CodecSet, PlayoutDelay, RenditionId, RenditionSet, SessionId, SessionNumber,
};

use crate::rendition::Renditions;
use crate::rtp::packetize::Redundancy;

#[derive(Debug)]
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    pub(crate) number: SessionNumber,
    /// Keys of its peers.
    pub(crate) peers: Vec<usize>,
    /// What its peers use: pictures, sound, and of that what some lose packets of.
    pub(crate) active: (RenditionSet, AudioRenditionSet, AudioRenditionSet),
    /// What there is of pictures.
    pub(crate) there: RenditionSet,
    /// Whether one of its peers waits for a keyframe of another rendition than it gets.
    pub(crate) is_changing: bool,
    pub(crate) redundancy: Redundancy,
    pub(crate) renditions: Renditions,
}

impl SessionState {
    pub(crate) fn new(
        (id, number): (SessionId, SessionNumber),
        playout_delay: PlayoutDelay,
        epoch: Instant,
    ) -> Self {
        let lowest = CodecSet::ALL.iter().map(|codec| RenditionId::lowest(number, codec));
        Self {
            id,
            number,
            peers: Vec::new(),
            active: (RenditionSet::EMPTY, AudioRenditionSet::EMPTY, AudioRenditionSet::EMPTY),
            there: lowest.fold(RenditionSet::EMPTY, RenditionSet::with),
            is_changing: false,
            redundancy: Redundancy::default(),
            renditions: Renditions::new(playout_delay, epoch),
        }
    }
}
