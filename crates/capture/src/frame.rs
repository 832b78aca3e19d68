//! The envelope: magic, then frames of (kind, lengths, checksum, compressed payload).

/// First bytes of every capture. The high first byte and the line ends show at once when a transfer treated the file as
/// text.
pub const MAGIC: [u8; 8] = *b"\x89HEAP\r\n\x1a";

/// Version of the format that this crate writes, and the highest that it reads.
pub const FORMAT_VERSION: u16 = 1;

/// Magic, version, and two reserved bytes.
pub const PROLOGUE_BYTES: usize = 12;

/// Bytes before each payload: kind (1), reserved (3), stored length (4), plain length (4), CRC-32 (4).
pub const ENVELOPE_BYTES: usize = 16;

/// A frame may not expand to more than this many times its stored length (plus [`FREE_PLAIN_BYTES`]).
///
/// It bounds what a small hostile file can make a reader allocate. The writer pads the rare payload that compresses
/// better.
pub const MAX_EXPANSION: usize = 32;

/// Plain bytes that any frame may have, however short its stored payload is.
pub const FREE_PLAIN_BYTES: usize = 1024;

/// Largest plain payload of one frame.
pub const MAX_PLAIN_BYTES: usize = 1 << 30;

/// What a frame holds. Kinds that a reader does not know are skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The [`Header`](crate::Header): always first.
    Header = 1,
    /// New names and changed counters at one moment.
    Tick = 2,
    /// Part of a table of live blocks at the moment of the tick before it.
    Blocks = 3,
    /// How tracing ended: always last.
    End = 4,
    /// A named text.
    Note = 5,
}

impl Kind {
    /// The kind with this number, if it is known.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Header,
            Self::Tick,
            Self::Blocks,
            Self::End,
            Self::Note,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == number)
    }
}

/// The fixed part in front of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Number of the [`Kind`].
    pub kind: u8,
    /// Bytes of the payload as stored.
    pub stored_bytes: u32,
    /// Bytes of the payload once decompressed.
    pub plain_bytes: u32,
    /// CRC-32 of the twelve bytes before it and of the stored payload.
    pub checksum: u32,
}

impl Envelope {
    /// Reads the fixed part.
    pub fn decode(bytes: &[u8; ENVELOPE_BYTES]) -> Self {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self {
            kind: bytes[0],
            stored_bytes: word(4),
            plain_bytes: word(8),
            checksum: word(12),
        }
    }

    /// True when the plain length is one that a writer may have produced for this stored length.
    pub fn is_plausible(&self) -> bool {
        self.plain_bytes as usize <= MAX_PLAIN_BYTES
            && self.plain_bytes as usize <= largest_plain(self.stored_bytes as usize)
    }
}

/// Largest plain length that `stored` bytes may stand for.
pub fn largest_plain(stored: usize) -> usize {
    stored
        .saturating_mul(MAX_EXPANSION)
        .saturating_add(FREE_PLAIN_BYTES)
}

/// Fills in the envelope at the front of `frame`, whose payload follows it already.
pub fn seal(frame: &mut [u8], kind: Kind, plain_bytes: u32) {
    let stored_bytes = (frame.len() - ENVELOPE_BYTES) as u32;
    frame[0] = kind as u8;
    frame[1..4].fill(0);
    frame[4..8].copy_from_slice(&stored_bytes.to_le_bytes());
    frame[8..12].copy_from_slice(&plain_bytes.to_le_bytes());
    let sum = checksum(&frame[..12], &frame[ENVELOPE_BYTES..]);
    frame[12..16].copy_from_slice(&sum.to_le_bytes());
}

/// CRC-32 (IEEE) of the envelope's first twelve bytes and the stored payload.
pub fn checksum(envelope: &[u8], stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(envelope);
    hasher.update(stored);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_frame_reads_back() {
        let mut frame = vec![0; ENVELOPE_BYTES];
        frame.extend_from_slice(b"payload");
        seal(&mut frame, Kind::Tick, 99);
        let head: &[u8; ENVELOPE_BYTES] = frame.first_chunk().expect("long enough");
        let envelope = Envelope::decode(head);
        assert_eq!(envelope.kind, Kind::Tick as u8);
        assert_eq!(envelope.stored_bytes, 7);
        assert_eq!(envelope.plain_bytes, 99);
        assert_eq!(envelope.checksum, checksum(&frame[..12], b"payload"));
        assert!(envelope.is_plausible());
    }

    #[test]
    fn an_implausible_expansion_is_noticed() {
        let envelope = Envelope {
            kind: 2,
            stored_bytes: 10,
            plain_bytes: 10 * 32 + 1025,
            checksum: 0,
        };
        assert!(!envelope.is_plausible());
    }
}
