//! Against bytes that OpenTelemetry's own Python library (opentelemetry-proto) wrote for the same span.

use std::time::Duration;

use super::super::TraceContext;
use super::*;

const REQUEST: &str = "0a8c020a250a230a0c736572766963652e6e616d6512130a11656c61737469636f72652d6d617374657212e2010a130a0a656c61737469636f72651205312e32 \
    2e3312ca010a104b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b12080202020202020202220801010101010101012a10474554202f63616368652f7b6b65797d300239 \
    01002a36fe9c971741f4012a36fe9c97174a200a19687474702e726573706f6e73652e7374617475735f636f6465120318f7034a0a0a0464656570120210014a \
    130a0a6572726f722e7479706512050a033530335a2a0902002a36fe9c971712097461736b5f6c6f73741a140a057374616765120b18ffffffffffffffffff01 \
    7a0712033530331802850101030000";
const ANSWER: &str = "0a080803120466756c6c";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter_map(|digit| (digit as char).to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn at(nanoseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_000 + nanoseconds)
}

#[test]
fn spans_are_what_the_collectors_own_library_writes() {
    let mut context = [0x4b; TraceContext::BYTES];
    context[16..24].fill(2);
    context[24] = 1;
    let mut span = Span::begin(
        "GET /cache/{key}",
        Kind::Server,
        TraceContext::from_bytes(&context).unwrap(),
        None,
    );
    span.parent = Some([1; 8]);
    (span.began, span.ended) = (at(1), at(500));
    span.set("http.response.status_code", 503_u16);
    span.set("deep", true);
    span.events.push(Event {
        at: at(2),
        name: "task_lost".into(),
        attributes: vec![("stage", Value::Number(-1))],
    });
    span.error = Some("503".into());
    let resource = [("service.name", "elasticore-master".to_owned())];
    assert_eq!(encode(&resource, "1.2.3", &[span]), bytes(REQUEST));
}

#[test]
fn what_the_collector_refused_is_counted() {
    assert_eq!(rejected(&bytes(ANSWER)), 3);
    assert_eq!(rejected(b""), 0);
    assert_eq!(rejected(b"{}"), 0);
}
