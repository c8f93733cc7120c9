//! A snapshot's JSON, plain or compressed, in chunks that its readers share.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

/// Small, since a reader that stands still holds one that nobody else may need any more.
const CHUNK: usize = 16 * 1024;

/// An answer, whole.
#[derive(Debug, Default)]
pub struct Encoded {
    chunks: Vec<Bytes>,
    len: usize,
}

impl Encoded {
    /// As JSON.
    pub fn json(value: &impl Serialize) -> io::Result<Self> {
        let mut chunks = Chunks::default();
        serde_json::to_writer(&mut chunks, value)?;
        Ok(chunks.finish())
    }

    /// As JSON in gzip.
    pub fn gzip(value: &impl Serialize) -> io::Result<Self> {
        let mut encoder = GzEncoder::new(Chunks::default(), Compression::fast());
        serde_json::to_writer(BufWriter::with_capacity(CHUNK, &mut encoder), value)?;
        Ok(encoder.finish()?.finish())
    }

    /// The chunks, in their order.
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// Length in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing, which no snapshot is.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What is being written.
#[derive(Debug, Default)]
struct Chunks {
    full: Vec<Bytes>,
    filling: Vec<u8>,
}

impl Chunks {
    fn finish(mut self) -> Encoded {
        if !self.filling.is_empty() {
            self.full.push(self.filling.into_boxed_slice().into());
        }
        Encoded { len: self.full.iter().map(Bytes::len).sum(), chunks: self.full }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.filling.capacity() == 0 {
            self.filling = Vec::with_capacity(CHUNK);
        }
        let taken = bytes.len().min(CHUNK - self.filling.len());
        self.filling.extend_from_slice(&bytes[..taken]);
        if self.filling.len() == CHUNK {
            self.full.push(std::mem::take(&mut self.filling).into());
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let value: Vec<u32> = (0..20_000).collect();
        let text = serde_json::to_string(&value).unwrap();
        let plain = Encoded::json(&value).unwrap();
        assert_eq!((plain.len(), plain.chunks().concat()), (text.len(), text.clone().into_bytes()));
        assert!(plain.chunks().iter().all(|chunk| chunk.len() <= CHUNK));
        let packed = Encoded::gzip(&value).unwrap();
        let mut unpacked = String::new();
        flate2::read::GzDecoder::new(&packed.chunks().concat()[..]).read_to_string(&mut unpacked).unwrap();
        assert!(unpacked == text && packed.len() < text.len());
    }
}
