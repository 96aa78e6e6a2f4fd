//! Audio packets that carry a copy of the one before (RFC 2198).

use std::sync::Arc;

use visavis_types::{AudioCodec, AudioPacket, AudioRendition};

use super::payloads::MAX_PAYLOAD_BYTES;

/// RFC 2198 §3: another block follows.
const FOLLOWED: u8 = 0x80;
/// The fields for a copy's age and length have so many bits.
const MAX_AGE: u32 = (1 << 14) - 1;
const MAX_COPY_BYTES: usize = (1 << 10) - 1;
const HEADER_BYTES: usize = 5;

/// Makes the payloads with redundancy of one session's sound: once for all viewers that are sent the same and call
/// Opus by the same payload type, as nearly all do.
#[derive(Debug, Default)]
pub(crate) struct Redundancy {
    /// What viewers of one channel were sent last, and those of two.
    previous: [Option<Previous>; 2],
    /// Both were sent the same.
    alike: bool,
    /// What was made for the packet that is being sent: for which payload type, and after which of the two.
    made_for: Option<(u8, usize)>,
    payload: Vec<u8>,
}

#[derive(Debug)]
struct Previous {
    data: Arc<[u8]>,
    rtp_time: u32,
}

impl Redundancy {
    /// A packet with a copy of the one before, if that was sent lately to viewers of this rendition.
    pub(crate) fn wrap(
        &mut self,
        packet: &AudioPacket,
        payload_type: u8,
        rendition: AudioRendition,
    ) -> &[u8] {
        let which = usize::from(rendition == AudioRendition::OpusStereo && !self.alike);
        if self.made_for == Some((payload_type, which)) {
            return &self.payload;
        }
        self.made_for = Some((payload_type, which));
        let payload = &mut self.payload;
        payload.clear();
        let copy = self.previous[which].as_ref().and_then(|previous| {
            let age = packet.rtp_time.wrapping_sub(previous.rtp_time);
            let copy = &*previous.data;
            let fits = (1..=MAX_AGE).contains(&age)
                && copy.len() <= MAX_COPY_BYTES
                && HEADER_BYTES + copy.len() + packet.data.len() <= MAX_PAYLOAD_BYTES;
            fits.then_some((age, copy))
        });
        if let Some((age, copy)) = copy {
            let fields = age << 10 | copy.len() as u32;
            payload.push(FOLLOWED | payload_type);
            payload.extend_from_slice(&fields.to_be_bytes()[1..]);
        }
        payload.push(payload_type);
        payload.extend_from_slice(copy.map_or(&[], |(_, copy)| copy));
        payload.extend_from_slice(&packet.data);
        payload
    }

    /// A packet was sent to all that it is for.
    pub(crate) fn follow(&mut self, packet: &AudioPacket) {
        if packet.codec != AudioCodec::Opus {
            return;
        }
        self.made_for = None;
        let renditions = [AudioRendition::Opus, AudioRendition::OpusStereo];
        let sent_to = renditions.map(|rendition| packet.renditions.contains(rendition));
        for previous in self.previous.iter_mut().zip(sent_to).filter(|(_, sent)| *sent) {
            let (data, rtp_time) = (Arc::clone(&packet.data), packet.rtp_time);
            *previous.0 = Some(Previous { data, rtp_time });
        }
        self.alike = sent_to == [true; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use visavis_types::AudioRenditionSet;

    fn packet(rtp_time: u32, data: &[u8]) -> AudioPacket {
        AudioPacket {
            codec: AudioCodec::Opus,
            renditions: AudioRenditionSet::OPUS,
            data: Arc::from(data),
            rtp_time,
            captured: Instant::now(),
            talkspurt: false,
        }
    }

    #[test]
    fn each_packet_carries_the_one_before() {
        let mut redundancy = Redundancy::default();
        let (first, second) = (packet(0_u32.wrapping_sub(960), &[1, 2, 3]), packet(0, &[4, 5]));
        assert_eq!(redundancy.wrap(&first, 111, AudioRendition::Opus), [111, 1, 2, 3]);
        redundancy.follow(&first);
        // 960 << 10 | 3
        let expected = [0x80 | 111, 0x0f, 0x00, 0x03, 111, 1, 2, 3, 4, 5];
        assert_eq!(redundancy.wrap(&second, 111, AudioRendition::Opus), expected);
        assert_eq!(redundancy.wrap(&second, 96, AudioRendition::Opus)[..2], [0x80 | 96, 0x0f]);
        assert_eq!(redundancy.wrap(&second, 111, AudioRendition::Opus), expected);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        for (previous, rtp_time) in
            [(packet(0, &[9; 3]), 16_384), (packet(0, &[9; 1_024]), 960), (packet(0, &[9; 3]), 0)]
        {
            let mut redundancy = Redundancy::default();
            redundancy.follow(&previous);
            assert_eq!(
                redundancy.wrap(&packet(rtp_time, &[7]), 111, AudioRendition::Opus),
                [111, 7]
            );
        }
    }

    #[test]
    fn g711_between_packets_of_opus_changes_nothing() {
        let mut redundancy = Redundancy::default();
        redundancy.follow(&packet(0, &[1]));
        redundancy.follow(&AudioPacket { codec: AudioCodec::Pcmu, ..packet(0, &[2; 160]) });
        assert_eq!(redundancy.wrap(&packet(960, &[3]), 111, AudioRendition::Opus)[5..], [1, 3]);
    }

    #[test]
    fn viewers_of_one_channel_and_of_two_get_copies_of_what_they_were_sent() {
        use AudioRendition::{Opus, OpusStereo};
        let only = |packet, rendition| AudioPacket {
            renditions: AudioRenditionSet::EMPTY.with(rendition),
            ..packet
        };
        let mut redundancy = Redundancy::default();
        redundancy.follow(&packet(0, &[1]));
        // While all were sent the same, what is made is made once.
        let both = packet(960, &[2]);
        let made = redundancy.wrap(&both, 111, Opus).as_ptr();
        assert_eq!(redundancy.wrap(&both, 111, OpusStereo).as_ptr(), made);
        assert_eq!(redundancy.made_for, Some((111, 0)));
        redundancy.follow(&both);
        // The sound gets two channels, and has one again.
        for (two, one, before) in [([3], [4], [[2], [2]]), ([5], [6], [[3], [4]])] {
            let time = 960 * u32::from(two[0]);
            let two = only(packet(time, &two), OpusStereo);
            assert_eq!(redundancy.wrap(&two, 111, OpusStereo)[5..6], before[0]);
            redundancy.follow(&two);
            let one = only(packet(time, &one), Opus);
            assert_eq!(redundancy.wrap(&one, 111, Opus)[5..6], before[1]);
            redundancy.follow(&one);
        }
        let both = packet(960 * 7, &[7]);
        assert_eq!(redundancy.wrap(&both, 111, Opus)[5..], [6, 7]);
        assert_eq!(redundancy.wrap(&both, 111, OpusStereo)[5..], [5, 7]);
    }
}
