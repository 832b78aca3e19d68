//! Variable-length integers: LEB128 (7 bits a byte, least significant first), and zigzag for signed differences.

/// Longest encoding of a `u64`.
const MAX_BYTES: u32 = 10;

/// Why a payload could not be decoded. The message becomes part of a [`Truncation`](crate::Truncation).
pub type Malformed = &'static str;

/// Appends `value`.
pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends how far `new` is from `old`, modulo 2⁶⁴, so that any value can follow any other.
pub fn put_change(out: &mut Vec<u8>, old: u64, new: u64) {
    let change = new.wrapping_sub(old) as i64;
    put(out, ((change << 1) ^ (change >> 63)) as u64);
}

/// Appends a byte string with its length in front.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads a payload from front to back. Every method fails rather than reading past the end.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// Starts at the front of `payload`.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self
            .rest
            .split_at_checked(count)
            .ok_or("a length exceeds its frame")?;
        self.rest = tail;
        Ok(head)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.bytes(1)?[0])
    }

    /// The next integer.
    pub fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for index in 0..MAX_BYTES {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << (7 * index);
            if shifted >> (7 * index) != bits {
                break;
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("an integer has more than 64 bits")
    }

    /// The next integer, which must fit in 32 bits.
    pub fn varint32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.varint()?).map_err(|_| "an integer has more than 32 bits")
    }

    /// The value that [`put_change`] wrote after `old`.
    pub fn change(&mut self, old: u64) -> Result<u64, Malformed> {
        let zigzag = self.varint()?;
        let change = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        Ok(old.wrapping_add(change as u64))
    }

    /// Like [`Self::change`]; the value must fit in 32 bits.
    pub fn change32(&mut self, old: u32) -> Result<u32, Malformed> {
        u32::try_from(self.change(u64::from(old))?).map_err(|_| "an id is out of range")
    }

    /// The number of items that follow, each of which takes at least `bytes_each` bytes of this payload:
    /// so a count can be trusted for allocating.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if count > self.rest.len() / bytes_each {
            return Err("a count exceeds its frame");
        }
        Ok(count)
    }

    /// A byte string with its length in front.
    pub fn length_and_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.count(1)?;
        self.bytes(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_integer_and_any_change_come_back(old: u64, new: u64) {
            let mut out = Vec::new();
            put(&mut out, new);
            put_change(&mut out, old, new);
            let mut input = Input::new(&out);
            prop_assert_eq!(input.varint(), Ok(new));
            prop_assert_eq!(input.change(old), Ok(new));
            prop_assert!(input.is_empty());
        }

        #[test]
        fn decoding_garbage_never_panics(garbage: Vec<u8>) {
            let mut input = Input::new(&garbage);
            while input.varint().is_ok() {}
            let _ = Input::new(&garbage).length_and_bytes();
        }
    }

    #[test]
    fn an_integer_beyond_64_bits_is_refused() {
        let too_long = [0x80; 11];
        assert!(Input::new(&too_long).varint().is_err());
        let too_big = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(Input::new(&too_big).varint().is_err());
    }

    #[test]
    fn a_count_larger_than_what_follows_is_refused() {
        let mut out = Vec::new();
        put(&mut out, 3);
        out.extend_from_slice(&[0; 5]);
        assert!(Input::new(&out).count(2).is_err());
        assert_eq!(Input::new(&out).count(1), Ok(3));
    }

    #[test]
    fn small_changes_in_both_directions_take_one_byte() {
        for (old, new) in [(1000, 1063), (1000, 936)] {
            let mut out = Vec::new();
            put_change(&mut out, old, new);
            assert_eq!(out.len(), 1, "{old} to {new}");
        }
    }
}
