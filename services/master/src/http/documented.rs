//! What is true of every operation, said once in the OpenAPI document: an error is a problem, any operation may answer with one, and a value
//! may be empty.

use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::{Content, ContentBuilder, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder};

use super::document::operations;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Completes what the handlers say of themselves.
pub(super) fn complete(document: &mut OpenApi) {
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
        let responses = &mut operation.responses.responses;
        responses.values_mut().for_each(name_problem);
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
        let any_other = ResponseBuilder::new()
            .description("Any other status is a problem too; its `code` says which")
            .content(PROBLEM, problem.build());
        responses
            .entry("default".to_owned())
            .or_insert_with(|| RefOr::T(any_other.build()));
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            may_be_empty(body);
        }
    }
}

/// The derived documents call every body JSON; that of a problem has a type of its own.
fn name_problem(response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    if response.content.get(JSON).is_some_and(is_problem)
        && let Some(content) = response.content.shift_remove(JSON)
    {
        response.content.insert(PROBLEM.to_owned(), content);
    }
}

fn is_problem(content: &RefOr<Content>) -> bool {
    matches!(content, RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) if schema.ref_location.ends_with("/Problem"))
}

/// No body and an empty one are the same, and a value of no bytes is one.
fn may_be_empty(body: &mut RequestBody) {
    if !body.content.contains_key(JSON) {
        body.required = Some(Required::False);
    }
}
