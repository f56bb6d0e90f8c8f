//! Server-sent events (WHATWG HTML, §9.2.6), as far as `/kv/_watch` uses them.

/// An event, when it is complete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SseEvent {
    pub(super) name: String,
    pub(super) data: String,
    /// The id, when this event carries one.
    pub(super) id: Option<String>,
}

/// Lines put together into events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
    event: SseEvent,
}

impl Parser {
    /// Takes what has come; gives the events that it completes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        self.bytes.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.bytes.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                // Comments alone make no event.
                if event != SseEvent::default() {
                    events.push(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "data" => self.event.data.push_str(value),
                "id" => self.event.id = Some(value.to_owned()),
                _ => {}
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_the_bytes_come() {
        let text = b": hello\n\nid: 5\nevent: put\ndata: {\"a\":\"b: c\"}\n\n:\n\nevent:delete\ndata:{}\r\n\r\n";
        let mut parser = Parser::default();
        let events: Vec<_> = text.chunks(3).flat_map(|chunk| parser.take(chunk)).collect();
        assert_eq!(events.len(), 2);
        let id = Some("5".to_owned());
        let data = "{\"a\":\"b: c\"}".to_owned();
        assert_eq!(
            events[0],
            SseEvent {
                name: "put".to_owned(),
                data,
                id
            }
        );
        assert_eq!((events[1].name.as_str(), &events[1].id), ("delete", &None));
    }
}
