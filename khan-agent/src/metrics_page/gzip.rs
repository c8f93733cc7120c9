//! Gzip in two parts: one that is made once per snapshot and kept, and a short one that changes with each request.
//!
//! A deflate stream may be cut at a sync point, and the checksum of two parts follows from theirs, so both form one
//! ordinary gzip member (RFC 1951, RFC 1952).

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Size of a chunk. A part of many megabytes grows by whole chunks, so that it is never copied and hardly larger than
/// what it holds; and small, since a reader that stands still holds one.
const CHUNK: usize = 16 * 1024;

/// A part of a stream, compressed.
#[derive(Debug)]
pub struct Deflated {
    chunks: Vec<Bytes>,
    /// The chunk that is being filled.
    filling: Vec<u8>,
    crc: Crc,
    compress: Option<Compress>,
}

impl Default for Deflated {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            filling: Vec::new(),
            crc: Crc::new(),
            compress: Some(Compress::new(Compression::fast(), false)),
        }
    }
}

impl Deflated {
    /// Adds plain text.
    pub fn add(&mut self, plain: &[u8]) {
        self.crc.update(plain);
        self.run(plain, FlushCompress::None);
    }

    /// Ends the part at a byte boundary, so that another can follow.
    pub fn pause(&mut self) {
        self.run(&[], FlushCompress::Sync);
        self.compress = None;
        self.filling.shrink_to_fit();
        self.next_chunk(0);
    }

    /// The compressed part, once it has [paused](Self::pause).
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// What goes before the first part.
    pub const fn header() -> &'static [u8] {
        &HEADER
    }

    /// The last part, made of `plain`, and what goes after it.
    pub fn finish(&self, plain: &[u8]) -> Vec<u8> {
        let mut last = Self::default();
        last.crc.update(plain);
        last.run(plain, FlushCompress::Finish);
        let mut crc = Crc::new();
        crc.combine(&self.crc);
        crc.combine(&last.crc);
        last.next_chunk(0);
        let mut bytes = last.chunks.concat();
        bytes.extend(crc.sum().to_le_bytes());
        bytes.extend(crc.amount().to_le_bytes());
        bytes
    }

    fn run(&mut self, mut plain: &[u8], flush: FlushCompress) {
        loop {
            if self.filling.len() == self.filling.capacity() {
                self.next_chunk(CHUNK);
            }
            let Some(compress) = &mut self.compress else { return };
            let before = (compress.total_in(), compress.total_out());
            // Compression into what is left of a chunk fails on no input.
            let _ = compress.compress_vec(plain, &mut self.filling, flush);
            let (read, written) = (compress.total_in() - before.0, compress.total_out() - before.1);
            plain = plain.get(usize::try_from(read).unwrap_or(usize::MAX)..).unwrap_or_default();
            let full = self.filling.len() == self.filling.capacity();
            if plain.is_empty() && !full || read == 0 && written == 0 {
                return;
            }
        }
    }

    /// Puts the chunk that was filled to the others, and begins one of this capacity.
    fn next_chunk(&mut self, capacity: usize) {
        let filled = std::mem::replace(&mut self.filling, Vec::with_capacity(capacity));
        if !filled.is_empty() {
            self.chunks.push(Bytes::from(filled));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn two_parts_are_one_gzip_member() {
        let text = (0..20_000).map(|n| format!("line {n} {}", n * 7919)).collect::<Vec<_>>().join("\n");
        for (first, last) in [(text.as_str(), "the end\n"), ("", "only this"), ("x", "")] {
            let mut kept = Deflated::default();
            for chunk in first.as_bytes().chunks(65_536) {
                kept.add(chunk);
            }
            kept.pause();
            for _ in 0..2 {
                let all = [Deflated::header(), &kept.chunks().concat(), &kept.finish(last.as_bytes())].concat();
                let mut plain = String::new();
                let mut decoder = flate2::bufread::GzDecoder::new(&all[..]);
                decoder.read_to_string(&mut plain).unwrap();
                assert!(decoder.into_inner().is_empty(), "something after the member");
                assert_eq!(plain, format!("{first}{last}"));
            }
        }
    }

    /// Numbers below a bound, by xorshift64 (Marsaglia 2003).
    fn xorshift(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        }
    }

    /// Pages that the back end `miniz_oxide` 0.8 spoils: their packed form passes 85,196 bytes while the output is full.
    #[test]
    fn a_page_that_outgrows_the_reserved_output_is_whole() {
        for rows in [4948_usize, 4957, 4959] {
            let mut random = xorshift(0x0139_408d_cbbf_7a44 ^ rows as u64);
            let page: String = std::iter::repeat_with(|| {
                let (app, pod, count) = (random(50), random(2000), random(1000));
                let (high, low) = (pod / 256, pod % 256);
                format!(
                    "khan_connection{{node=\"n1\",src_ip=\"10.244.{high}.{low}\",src_app=\"app-{app}\",src_name=\"app-{app}-{pod:x}\",side=\"client\"}} {count}\n"
                )
            })
            .take(rows)
            .collect();
            let mut kept = Deflated::default();
            for chunk in page.as_bytes().chunks(65_536) {
                kept.add(chunk);
            }
            kept.pause();
            let all = [Deflated::header(), &kept.chunks().concat(), &kept.finish(b"the end")].concat();
            let mut plain = String::new();
            flate2::bufread::GzDecoder::new(&all[..]).read_to_string(&mut plain).unwrap();
            assert!(plain.strip_suffix("the end") == Some(&page), "{rows} rows");
        }
    }
}
