//! Which trace, and which span of it: what travels with a request (W3C Trace Context, level 1, with the flag of level 2).

use std::fmt;

/// Bytes of a `traceparent` of version 00.
const TEXT_BYTES: usize = 55;
/// The spans of this trace are recorded.
const SAMPLED: u8 = 1;
/// The last seven bytes of the trace's id are random (level 2).
const RANDOM: u8 = 2;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Identity of a request in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Bytes of [`TraceContext::to_bytes`].
    pub const BYTES: usize = 25;

    /// The first span of a trace; a random id when this one is all zeros, which no trace has.
    #[must_use]
    pub fn begin(trace: [u8; 16], sampled: bool) -> Self {
        let trace = if trace == [0; 16] {
            fastrand::u128(1..).to_be_bytes()
        } else {
            trace
        };
        Self {
            trace,
            span: new_span(),
            flags: u8::from(sampled),
        }
    }

    /// Reads a `traceparent`. None when it is malformed: then it must be treated as absent.
    ///
    /// Versions to come may be longer, and begin the same way; `ff` is none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let [version] = digits(text.get(..2)?)?;
        let rest_fits = match (version, text.get(TEXT_BYTES)) {
            (0xff, _) => false,
            (_, None) => text.len() == TEXT_BYTES,
            (version, Some(next)) => version > 0 && *next == b'-',
        };
        if !rest_fits || [2, 35, 52].iter().any(|at| text[*at] != b'-') {
            return None;
        }
        let [flags] = digits(&text[53..TEXT_BYTES])?;
        Self::of(digits(&text[3..35])?, digits(&text[36..52])?, flags)
    }

    /// As a `traceparent`.
    #[must_use]
    pub fn to_text(self) -> [u8; TEXT_BYTES] {
        let mut text = [b'-'; TEXT_BYTES];
        text[..2].copy_from_slice(b"00");
        write_hex(&self.trace, &mut text[3..35]);
        write_hex(&self.span, &mut text[36..52]);
        write_hex(&[self.flags], &mut text[53..]);
        text
    }

    /// Reads what [`TraceContext::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (trace, rest) = bytes.split_first_chunk()?;
        let (span, rest) = rest.split_first_chunk()?;
        Self::of(*trace, *span, rest[0])
    }

    /// For the frames between nodes: id of the trace, of the span, flags.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.span);
        bytes[24] = self.flags;
        bytes
    }

    fn of(trace: [u8; 16], span: [u8; 8], flags: u8) -> Option<Self> {
        let flags = flags & (SAMPLED | RANDOM);
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, flags })
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span: new_span(),
            ..self
        }
    }

    /// The same span, its trace recorded or not.
    #[must_use]
    pub const fn with_sampled(self, sampled: bool) -> Self {
        Self {
            flags: self.flags & !SAMPLED | sampled as u8,
            ..self
        }
    }

    /// Whether the spans of this trace are recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Id of the trace.
    #[must_use]
    pub const fn trace(self) -> [u8; 16] {
        self.trace
    }

    /// Id of the span.
    #[must_use]
    pub const fn span(self) -> [u8; 8] {
        self.span
    }

    /// Id of the trace, as people search for it.
    #[must_use]
    pub fn trace_text(self) -> String {
        hex(&self.trace)
    }

    /// Id of the span, as people search for it.
    #[must_use]
    pub fn span_text(self) -> String {
        hex(&self.span)
    }

    /// The id of a trace that 32 lower-case hexadecimal digits are.
    #[must_use]
    pub fn trace_of(text: &[u8]) -> Option<[u8; 16]> {
        (text.len() == 32).then(|| digits(text))?
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_text()).unwrap_or_default())
    }
}

fn new_span() -> [u8; 8] {
    fastrand::u64(1..).to_be_bytes()
}

/// Twice as many lower-case digits as bytes; nothing else is taken.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

const fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

fn write_hex(bytes: &[u8], into: &mut [u8]) {
    for (byte, pair) in bytes.iter().zip(into.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    write_hex(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let context = TraceContext::parse(SENT.as_bytes()).unwrap();
        assert_eq!(context.to_string(), SENT);
        assert_eq!(context.trace_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_text(), "00f067aa0ba902b7");
        assert!(context.is_sampled());
        assert_eq!(context.with_sampled(false).to_string(), SENT.replace("-01", "-00"));
        let child = context.child();
        assert_eq!(child.trace(), context.trace());
        assert_ne!(child.span(), context.span());
        assert_eq!(TraceContext::from_bytes(&context.to_bytes()), Some(context));
    }

    #[test]
    fn malformed_ones_are_as_if_absent() {
        let mut wrong: Vec<String> = [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ]
        .map(str::to_owned)
        .to_vec();
        // Version 00 is exactly so long, and others go on with a dash.
        wrong.extend([format!("{SENT}-"), format!("{SENT}-00"), format!("01{}.", &SENT[2..])]);
        for text in wrong {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn later_versions_may_say_more() {
        let later = format!("cc{}-what-the-future-brings", &SENT[2..]);
        let context = TraceContext::parse(later.as_bytes()).unwrap();
        assert_eq!(context.to_string(), SENT);
        assert!(TraceContext::parse(format!("cc{}", &SENT[2..]).as_bytes()).is_some());
        // Flags that nobody knows are not handed on.
        let flagged = SENT.replace("-01", "-ff");
        assert!(TraceContext::parse(flagged.as_bytes()).unwrap().to_string().ends_with("-03"));
    }

    #[test]
    fn a_trace_has_an_id_also_without_a_usable_one() {
        let context = TraceContext::begin([0; 16], true);
        assert_ne!(context.trace(), [0; 16]);
        assert_eq!(TraceContext::trace_of(b"00112233445566778899aabbccddeeff").unwrap()[1], 0x11);
        for other in [
            "00112233445566778899aabbccddee",
            "00112233445566778899AABBCCDDEEFF",
            "from-the-client.1",
        ] {
            assert_eq!(TraceContext::trace_of(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
            let mut context = TraceContext::begin(trace.to_be_bytes(), sampled);
            context.span = span.to_be_bytes();
            prop_assert_eq!(TraceContext::parse(&context.to_text()), Some(context));
            prop_assert_eq!(TraceContext::from_bytes(&context.to_bytes()), Some(context));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80), at in 0_usize..55, byte: u8) {
            let mut sent = SENT.as_bytes().to_vec();
            sent[at] = byte;
            for text in [&bytes, &sent] {
                if let Some(context) = TraceContext::parse(text) {
                    prop_assert!(context.trace() != [0; 16] && context.span() != [0; 8]);
                    prop_assert_eq!(&context.to_text()[3..52], &text[3..52]);
                }
            }
        }
    }
}
