//! Bytes in, chunks of 64 KiB out: a large answer grows without being copied, and what was sent is given back at once.

use std::convert::Infallible;
use std::io::{self, Write};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;

const CHUNK: usize = 64 * 1024;

/// What is being written.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    full: Vec<Bytes>,
    filling: Vec<u8>,
}

impl Chunks {
    /// How much was written.
    pub(super) fn len(&self) -> usize {
        self.full.iter().map(Bytes::len).sum::<usize>() + self.filling.len()
    }

    /// As the body of an answer.
    pub(super) fn into_body(mut self) -> Body {
        self.full.push(self.filling.into());
        Body::from_stream(stream::iter(self.full.into_iter().map(Ok::<_, Infallible>)))
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
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let text: Vec<u8> = (0..u8::MAX).cycle().take(3 * CHUNK + 17).collect();
        let mut chunks = Chunks::default();
        for part in text.chunks(1000) {
            chunks.write_all(part).unwrap();
        }
        assert_eq!(chunks.len(), text.len());
        chunks.full.push(chunks.filling.into());
        assert_eq!(chunks.full.concat(), text);
        assert!(chunks.full.iter().all(|chunk| chunk.len() <= CHUNK));
    }
}
