use httparse::{InvalidChunkSize, Status};

use crate::error::{ErrorCode, RequestError};

/// The longest line that announces a chunk, extensions included.
const MAX_CHUNK_LINE_BYTES: usize = 256;
/// Limit of the trailer fields after the last chunk, which are ignored.
const MAX_TRAILER_BYTES: usize = 4 << 10;

/// Where in a request's body the reader is (RFC 9112 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Framing {
    /// Behind it, or there is none.
    #[default]
    Done,
    /// So many bytes are to come.
    Length(u64),
    /// In the chunked transfer coding.
    Chunked(Chunk),
}

/// Where in a chunked body the reader is (RFC 9112 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// Before the line with a chunk's size.
    Size,
    /// So many bytes of the chunk are to come.
    Data(u64),
    /// Before the line end behind a chunk.
    End,
    /// After the last chunk; the number is the bytes of trailers read so far.
    Trailer(usize),
}

impl Framing {
    /// Moves content from the front of `input` to `out` until `out` has `most` bytes or there is
    /// nothing to move, and returns how much of `input` is used up.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        most: usize,
    ) -> Result<usize, RequestError> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let step = match self {
                Self::Done => return Ok(used),
                Self::Length(left) | Self::Chunked(Chunk::Data(left)) if *left > 0 => {
                    let room = most.saturating_sub(out.len()).min(rest.len());
                    let taken = usize::try_from(*left).map_or(room, |left| room.min(left));
                    out.extend_from_slice(rest.get(..taken).unwrap_or_default());
                    *left -= taken as u64;
                    taken
                }
                Self::Length(_) => {
                    *self = Self::Done;
                    continue;
                }
                Self::Chunked(chunk) => match chunk.pass(rest)? {
                    Some((_, None)) => {
                        // The empty line behind the trailers.
                        used += line_bytes(rest).unwrap_or(0);
                        *self = Self::Done;
                        return Ok(used);
                    }
                    Some((step, Some(next))) => {
                        *chunk = next;
                        used += step;
                        continue;
                    }
                    None => 0,
                },
            };
            used += step;
            if step == 0 {
                return Ok(used);
            }
        }
    }
}

impl Chunk {
    /// Reads past what frames the content: how many bytes that is, and what follows, which is
    /// nothing at the body's end. Nothing at all where more bytes are needed.
    fn pass(self, input: &[u8]) -> Result<Option<(usize, Option<Self>)>, RequestError> {
        match self {
            Self::Size => match httparse::parse_chunk_size(input) {
                Ok(Status::Complete((length, _))) if !is_size_line(input.get(..length)) => {
                    Err(BROKEN_CHUNK)
                }
                Ok(Status::Complete((length, 0))) => Ok(Some((length, Some(Self::Trailer(0))))),
                Ok(Status::Complete((length, size))) => Ok(Some((length, Some(Self::Data(size))))),
                Ok(Status::Partial) if input.len() > MAX_CHUNK_LINE_BYTES => Err(BROKEN_CHUNK),
                Ok(Status::Partial) => Ok(None),
                Err(InvalidChunkSize) => Err(BROKEN_CHUNK),
            },
            Self::Data(_) => Ok(Some((0, Some(Self::End)))),
            Self::End => match input {
                [b'\r', b'\n', ..] => Ok(Some((2, Some(Self::Size)))),
                [] | [b'\r'] => Ok(None),
                _ => Err(BROKEN_CHUNK),
            },
            Self::Trailer(seen) => match line_bytes(input) {
                Some(length) if !is_line(input.get(..length)) => Err(BROKEN_CHUNK),
                Some(length) if input.starts_with(b"\r\n") => Ok(Some((length, None))),
                Some(length) if seen + length <= MAX_TRAILER_BYTES => {
                    Ok(Some((length, Some(Self::Trailer(seen + length)))))
                }
                None if seen + input.len() <= MAX_TRAILER_BYTES => Ok(None),
                _ => Err(BROKEN_CHUNK),
            },
        }
    }
}

const BROKEN_CHUNK: RequestError =
    RequestError::fixed(ErrorCode::BadRequest, "the chunks of the body are broken");

/// The length of the first line with its end, if that is there.
fn line_bytes(input: &[u8]) -> Option<usize> {
    input.iter().position(|&b| b == b'\n').map(|at| at + 1)
}

/// Whether a line ends with CRLF and has no other CR or LF: a proxy that takes one of those for the end of the line
/// would see different requests than this server (request smuggling).
fn is_line(line: Option<&[u8]>) -> bool {
    let line = line.and_then(|line| line.strip_suffix(b"\r\n"));
    line.is_some_and(|line| line.iter().all(|&b| b == b'\t' || !b.is_ascii_control()))
}

/// Whether it is such a line and begins with a number: to the parser none at all is 0, the end of the body.
fn is_size_line(line: Option<&[u8]>) -> bool {
    let first = line.and_then(|line| line.first());
    first.is_some_and(u8::is_ascii_hexdigit) && is_line(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `wire` fed in pieces of `step` bytes: the content, and what is left behind it.
    fn decode(wire: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), RequestError> {
        let mut framing = Framing::Chunked(Chunk::Size);
        let (mut buffer, mut out) = (Vec::new(), Vec::new());
        for piece in wire.chunks(step) {
            buffer.extend_from_slice(piece);
            let used = framing.decode(&buffer, &mut out, usize::MAX)?;
            buffer.drain(..used);
        }
        assert_eq!(framing, Framing::Done, "the body did not end");
        Ok((out, buffer))
    }

    #[test]
    fn chunks_arrive_in_any_pieces() {
        let wire = b"5;x=\"y\"\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\nNEXT";
        for step in [1, 2, 3, 7, wire.len()] {
            let (content, rest) = decode(wire, step).unwrap_or_else(|e| panic!("{step}: {e:?}"));
            assert_eq!(content, b"hello 0123456789", "{step}");
            assert_eq!(rest, b"NEXT", "{step}");
        }
    }

    #[test]
    fn no_more_than_asked_for_is_taken() {
        let mut framing = Framing::Chunked(Chunk::Size);
        let mut out = Vec::new();
        let wire = b"8\r\nabcdefgh\r\n0\r\n\r\n";
        let used = framing.decode(wire, &mut out, 3).unwrap();
        assert_eq!((out.as_slice(), used), (&b"abc"[..], 6));
        let used = framing.decode(&wire[used..], &mut out, 100).unwrap();
        assert_eq!((out.as_slice(), used, framing), (&b"abcdefgh"[..], 12, Framing::Done));
    }

    #[test]
    fn broken_chunks_are_refused() {
        let fields = format!("0\r\n{}", "a: b\r\n".repeat(1_000));
        let long = format!("1;{}", "x".repeat(1_000));
        for bad in [
            "x\r\n",
            "5\r\nhelloX",
            "-1\r\n",
            "fffffffffffffffff\r\n",
            &fields,
            &long,
            // No number.
            "\r\n\r\n",
            ";x\r\n\r\n",
            " \r\n\r\n",
            // What a proxy may take for the end of a line, or not.
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "5;a\0\r\nhello\r\n0\r\n\r\n",
            "0\r\n\n",
            "0\r\na: b\n\r\n",
            "0\r\na: b\rc: d\r\n\r\n",
        ] {
            let mut framing = Framing::Chunked(Chunk::Size);
            let refused = framing.decode(bad.as_bytes(), &mut Vec::new(), usize::MAX);
            assert!(refused.is_err(), "{bad:.20}: {refused:?}");
        }
    }
}
