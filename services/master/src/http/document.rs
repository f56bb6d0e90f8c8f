//! What the table of rules says, in the OpenAPI document: which operations want to know who asks.

use access::{Found, Rule, find};
use api::headers;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

const BEARER: &str = "bearer";
const API_KEY: &str = "apiKey";
const CLUSTER_TOKEN: &str = "clusterToken";

/// Adds schemes, and to every operation what it wants.
pub(super) fn secure(document: &mut OpenApi) {
    let header = |name: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "An API key (`eck_…`) or a JSON Web Token; only where authentication is on.",
    ));
    let components = document.components.get_or_insert_with(|| ComponentsBuilder::new().build());
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    components.add_security_scheme(API_KEY, header(headers::API_KEY));
    components.add_security_scheme(CLUSTER_TOKEN, header(headers::CLUSTER_TOKEN));
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            // A route without a rule is answered to nobody, and a test says that there is none.
            if let Found::Row(row) = find(method, path) {
                describe(operation, row.rule);
            }
        }
    }
}

/// The operations of a path, by their methods.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let methods = [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
        ("HEAD", &mut item.head),
        ("PATCH", &mut item.patch),
        ("OPTIONS", &mut item.options),
        ("TRACE", &mut item.trace),
    ];
    methods
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn describe(operation: &mut Operation, rule: Rule) {
    let named = |name: &str| SecurityRequirement::new(name, [] as [&str; 0]);
    operation.security = Some(match rule {
        Rule::Open => Vec::new(),
        Rule::OfCluster => vec![named(CLUSTER_TOKEN)],
        _ => vec![named(BEARER), named(API_KEY)],
    });
    if rule == Rule::Open {
        return;
    }
    let wants = format!("Wants {}, where authentication is on.", rule.describe());
    let description = operation.description.take().filter(|text| !text.is_empty());
    operation.description = Some(description.map_or(wants.clone(), |text| format!("{text}\n\n{wants}")));
    let mut add = |status: &str, text: &str| {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
        let response = ResponseBuilder::new()
            .description(text)
            .content("application/problem+json", problem.build());
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(response.build()));
    };
    add("401", "Nobody known asks");
    if rule != Rule::OfCluster && rule != Rule::Known {
        add("403", "The caller may not");
    }
}
