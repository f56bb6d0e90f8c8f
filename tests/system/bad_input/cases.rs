//! The table of wrong requests.

mod bodies;

use api::ErrorCode;

use super::MAX_VALUE_BYTES;

/// A wrong request, and the answers it must get.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) request: Vec<u8>,
    pub(super) expected: Expected,
    /// NGINX refuses some of it itself, in its own words.
    pub(super) through_nginx: Expected,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// A whole problem.
    Problem(u16, ErrorCode),
    /// This status: refused where no body can be given, or not wrong after all.
    Status(u16),
}

const INVALID: Expected = Expected::Problem(400, ErrorCode::InvalidArgument);
const METHOD: Expected = Expected::Problem(405, ErrorCode::InvalidArgument);
const MEDIA_TYPE: Expected = Expected::Problem(415, ErrorCode::InvalidArgument);
const NOT_FOUND: Expected = Expected::Problem(404, ErrorCode::NotFound);
const CONFLICT: Expected = Expected::Problem(409, ErrorCode::Conflict);
const TOO_LARGE: Expected = Expected::Problem(413, ErrorCode::TooLarge);

/// Every one of them.
pub(super) fn cases() -> Vec<Case> {
    [
        keys(),
        lifetimes(),
        values(),
        methods_and_types(),
        parameters(),
        bodies::json(),
        bodies::conditions(),
        bodies::jobs(),
    ]
    .concat()
}

fn keys() -> Vec<Case> {
    let long = "k".repeat(1025);
    let wide = "%C3%A9".repeat(513);
    let mut cases = vec![
        case("GET /cache/?key=", INVALID),
        case("PUT /cache/?key=&value=x", INVALID),
        case("POST /cache/_incr?key=", INVALID),
        case("GET /cache/", INVALID),
        case("PUT /kv/", NOT_FOUND),
        case("GET /cache/_mine", NOT_FOUND),
        case("GET /ring?key=", INVALID),
        // A key may hold any text, NUL too; NGINX takes none in a path.
        case("GET /cache/a%00b", NOT_FOUND).through_nginx(INVALID),
        // A key with slashes; NGINX sees a path that leaves the root.
        case("GET /cache/..%2f..%2finternal", NOT_FOUND).through_nginx(INVALID),
        case("GET /cache/../internal/v1/jobs/poll", NOT_FOUND),
        case("GET /no/such/path", NOT_FOUND),
    ];
    for path in ["/cache/KEY", "/cache/?key=KEY", "/kv/KEY"] {
        for method in ["GET", "DELETE"] {
            let at = |key: &str| format!("{method} {}", path.replace("KEY", key));
            cases.push(case(&at(&long), TOO_LARGE));
            cases.push(case(&at(&wide), TOO_LARGE));
            cases.push(case(&at("%FF"), INVALID));
            cases.push(case(&at("a%C3%28"), INVALID));
            cases.push(case(&at("%zz"), INVALID));
            cases.push(case(&at("half%4"), INVALID));
            cases.push(case(&at("end%"), INVALID));
        }
        cases.push(case(&format!("PUT {}", path.replace("KEY", &long)), TOO_LARGE).or_missing_value());
    }
    cases.push(case("PUT /cache/?key=k&value=%FF", INVALID));
    cases.push(case("GET /cache/k?ns=%FF", INVALID));
    cases.push(case("GET /kv?prefix=%FF", INVALID));
    cases
}

fn lifetimes() -> Vec<Case> {
    let wrong = [
        "-1",
        "0",
        "NaN",
        "inf",
        "-inf",
        "1e300",
        "99999999999999999999",
        "soon",
        "",
        "5%20fortnights",
        "1e-400",
        "0x10",
    ];
    let places = ["PUT /cache/k?ttl=", "PUT /cache/?key=k&value=v&ttl=", "PUT /kv/k?ttl="];
    let mut cases: Vec<_> = places
        .iter()
        .flat_map(|place| wrong.iter().map(move |ttl| case(&format!("{place}{ttl}"), INVALID)))
        .collect();
    for ttl in ["-1", "1.5", "1e30", "\"60\"", "99999999999999999999", "0", "315360001"] {
        cases.push(post(
            "/cache/_batch",
            &format!(r#"{{"ops":[{{"op":"put","key":"k","value":"v","ttl":{ttl}}}]}}"#),
            INVALID,
        ));
    }
    cases
}

fn values() -> Vec<Case> {
    let over = "v".repeat(MAX_VALUE_BYTES + 1);
    let chunked = format!(
        "PUT /cache/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{over}\r\n0\r\n\r\n",
        over.len()
    );
    vec![
        with_body("PUT /cache/k", &[], over.as_bytes(), TOO_LARGE),
        Case {
            name: "PUT /cache/k, chunked, over the limit".to_owned(),
            ..raw(chunked.as_bytes(), TOO_LARGE)
        },
        case(&format!("PUT /cache/?key=k&value={over}"), TOO_LARGE),
        with_body("PUT /kv/k", &[], &vec![b'v'; (1 << 20) + 1], TOO_LARGE),
        post(
            "/cache/_batch",
            &format!(r#"{{"ops":[{{"op":"put","key":"k","value":"{over}"}}]}}"#),
            TOO_LARGE,
        ),
        post(
            "/cache/_batch",
            r#"{"ops":[{"op":"put","key":"k","value":"not base64!","encoding":"base64"}]}"#,
            INVALID,
        ),
        post(
            "/cache/_batch",
            r#"{"ops":[{"op":"put","key":"k","value":"v","encoding":"rot13"}]}"#,
            INVALID,
        ),
        with_headers("PUT /cache/k", &[("Content-Type", &"x".repeat(1000))], INVALID),
        case("POST /cache/_incr?key=text", CONFLICT),
        case("POST /cache/_incr?key=largest&by=1", CONFLICT),
        case("POST /cache/_incr?key=least&by=-1", CONFLICT),
        case("POST /cache/_incr?key=k&by=9223372036854775808", INVALID),
        case("POST /cache/_incr?key=k&by=-9223372036854775809", INVALID),
        case("POST /cache/_incr?key=k&by=1.5", INVALID),
        case("POST /cache/_incr?key=k&by=", INVALID),
    ]
}

fn methods_and_types() -> Vec<Case> {
    let mut cases: Vec<_> = [
        "PATCH /cache/k",
        "POST /cache/k",
        "BREW /cache/k",
        "POST /cache/?key=k",
        "GET /cache/_batch",
        "DELETE /cache/_incr",
        "PUT /kv",
        "POST /kv/k",
        "GET /kv/_txn",
        "POST /kv/_watch",
        "PUT /jobs",
        "PATCH /jobs/00000000-0000-7000-8000-000000000000",
        "POST /nodes",
        "DELETE /ring",
        "GET /cluster/join",
        "POST /health",
        "DELETE /metrics",
        "PUT /openapi.json",
    ]
    .iter()
    .map(|line| case(line, METHOD))
    .collect();
    for path in ["/cache/_batch", "/kv/_txn", "/jobs"] {
        for content_type in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonp"),
            Some("nonsense"),
        ] {
            let header: Vec<_> = content_type.map(|value| ("Content-Type", value)).into_iter().collect();
            cases.push(with_body(&format!("POST {path}"), &header, b"{}", MEDIA_TYPE));
        }
    }
    cases
}

fn parameters() -> Vec<Case> {
    [
        "GET /cache/k?bogus=1",
        "GET /cache/?key=a&key=b",
        "GET /cache/?key=a&Key=b",
        "PUT /cache/?key=k",
        "PUT /cache/k?ttl=1&ttl=2",
        "PUT /cache/?key=k&value=a&value=b",
        "POST /cache/_incr?key=k&by=1&by=2",
        "POST /cache/_incr?by=1",
        "GET /cache/k?ns=a&ns=b",
        "GET /kv?limit=0",
        "GET /kv?limit=1001",
        "GET /kv?limit=-1",
        "GET /kv?limit=ten",
        "GET /kv?limit=1&limit=2",
        "GET /kv?pre=x",
        "GET /kv/k?consistency=perhaps",
        "GET /kv/k?ttl=1",
        "GET /kv/_watch?from=now",
        "GET /kv/_watch?from=-1",
        "GET /jobs?limit=0",
        "GET /jobs?limit=100000000000000000000",
        "GET /jobs?after=yesterday",
        "GET /jobs?bogus=1",
        "GET /nodes?bogus=%FF",
    ]
    .iter()
    .map(|line| {
        case(
            line,
            if line.starts_with("GET /nodes") {
                Expected::Status(200)
            } else {
                INVALID
            },
        )
    })
    .chain([
        case(&format!("GET /cache/k?ns={}", "n".repeat(129)), INVALID),
        with_headers("GET /cache/k", &[("X-Namespace", &"n".repeat(129))], INVALID),
        with_headers("GET /cache/k", &[("X-Namespace", "caf\u{e9}")], INVALID),
    ])
    .collect()
}

/// A request without headers and body: `METHOD target`.
fn case(line: &str, expected: Expected) -> Case {
    with_body(line, &[], b"", expected)
}

fn with_headers(line: &str, headers: &[(&str, &str)], expected: Expected) -> Case {
    with_body(line, headers, b"", expected)
}

fn post(path: &str, body: &str, expected: Expected) -> Case {
    with_body(
        &format!("POST {path}"),
        &[("Content-Type", "application/json")],
        body.as_bytes(),
        expected,
    )
}

fn with_body(line: &str, headers: &[(&str, &str)], body: &[u8], expected: Expected) -> Case {
    let mut request = format!(
        "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    )
    .into_bytes();
    for (name, value) in headers {
        // Latin-1, as a header's bytes are: é is not ASCII and no UTF-8.
        request.extend(
            format!("{name}: {value}\r\n")
                .chars()
                .map(|c| u8::try_from(u32::from(c)).unwrap()),
        );
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body);
    let shown = |text: &str| text.chars().take(60).collect::<String>();
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", shown(value)))
        .collect();
    let name = format!("{} {headers:?} {:?}", shown(line), shown(&String::from_utf8_lossy(body)));
    Case {
        name,
        ..raw(&request, expected)
    }
}

fn raw(request: &[u8], expected: Expected) -> Case {
    Case {
        name: String::new(),
        request: request.to_vec(),
        expected,
        through_nginx: expected,
    }
}

impl Case {
    fn through_nginx(mut self, expected: Expected) -> Self {
        self.through_nginx = expected;
        self
    }

    /// `PUT ?key=` without a value is wrong in two ways; the first one found is told.
    fn or_missing_value(mut self) -> Self {
        if self.name.contains("?key=") {
            (self.expected, self.through_nginx) = (INVALID, INVALID);
        }
        self
    }
}
