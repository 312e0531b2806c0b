//! Blows a body up with blanks after its first byte, which leaves JSON as good as it was: plain, or packed by gzip.
//! However large the body becomes, only a little of it is ever held.

use std::iter::repeat_n;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

const MEGABYTE: usize = 1_000_000;
// Small enough that a client which goes away is noticed soon.
const CHUNK: usize = 50_000;
static BLANKS: [u8; CHUNK] = [b' '; CHUNK];

/// A gzip header without a name or a time (RFC 1952, 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The chunks of the body with `mb` megabytes of blanks in it.
pub fn plain(body: &Bytes, mb: u32) -> impl Iterator<Item = Bytes> + Send + 'static {
    let (first, rest) = split(body);
    let blanks = repeat_n(Bytes::from_static(&BLANKS), many(mb) * (MEGABYTE / CHUNK));
    [first].into_iter().chain(blanks).chain([rest])
}

/// The same body packed, about a kilobyte for each megabyte.
///
/// A piece of deflate that ends with a full flush refers to nothing before it (RFC 1951), so one packed megabyte is sent
/// again and again instead of being packed anew.
pub fn packed(body: &Bytes, mb: u32) -> Vec<u8> {
    let (first, rest) = split(body);
    let blanks = vec![b' '; MEGABYTE];
    let mut all = HEADER.to_vec();
    all.extend(piece(&first, FlushCompress::Full));
    all.extend(piece(&blanks, FlushCompress::Full).repeat(many(mb)));
    all.extend(piece(&rest, FlushCompress::Finish));
    let mut sum = sum_of(&first);
    let more = sum_of(&blanks);
    for _ in 0..mb {
        sum.combine(&more);
    }
    sum.combine(&sum_of(&rest));
    all.extend(sum.sum().to_le_bytes());
    all.extend(sum.amount().to_le_bytes());
    all
}

fn split(body: &Bytes) -> (Bytes, Bytes) {
    let mut first = body.clone();
    let rest = first.split_off(body.len().min(1));
    (first, rest)
}

fn many(mb: u32) -> usize {
    usize::try_from(mb).unwrap_or(usize::MAX)
}

fn piece(bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut packer = Compress::new(Compression::best(), false);
    // With room for bytes that do not pack, one call takes them all; it cannot fail without a dictionary.
    let mut piece = Vec::with_capacity(bytes.len() + bytes.len() / 100 + 64);
    if let Err(error) = packer.compress_vec(bytes, &mut piece, flush) {
        tracing::warn!("a bomb is no gzip: {error}");
    }
    piece
}

fn sum_of(bytes: &[u8]) -> Crc {
    let mut sum = Crc::new();
    sum.update(bytes);
    sum
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    const BODY: Bytes = Bytes::from_static(br#"[{"id":"a"}]"#);

    #[test]
    fn a_blown_up_body_is_the_same_json() {
        let whole: Vec<u8> = plain(&BODY, 2).flatten().collect();
        assert_eq!(whole.len(), 2_000_000 + BODY.len());
        let read: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(read.to_string(), BODY);
        assert_eq!(plain(&Bytes::new(), 0).flatten().count(), 0);
    }

    #[test]
    fn a_packed_body_unfolds_into_the_plain_one() {
        for (body, mb) in [(BODY, 3), (BODY, 0), (Bytes::from_static(b"["), 1)] {
            let mut unfolded = Vec::new();
            GzDecoder::new(packed(&body, mb).as_slice())
                .read_to_end(&mut unfolded)
                .unwrap();
            let whole: Vec<u8> = plain(&body, mb).flatten().collect();
            assert!(unfolded == whole);
        }
    }

    #[test]
    fn half_a_gigabyte_is_packed_into_less_than_a_megabyte() {
        assert!(packed(&BODY, 500).len() < MEGABYTE);
    }
}
