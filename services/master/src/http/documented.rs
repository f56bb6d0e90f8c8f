//! What is true of every operation, said once in the OpenAPI document: an error is a problem, any operation may answer with one, a value
//! may be empty, and members that go together may all be absent.

use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{AllOf, AnyOfBuilder, Object, Schema, SchemaType, Type};
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
    let schemas = document
        .components
        .iter_mut()
        .flat_map(|components| components.schemas.values_mut());
    for schema in schemas {
        if let RefOr::T(Schema::AllOf(parts)) = schema {
            may_be_absent(parts);
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

/// An optional part of an object is derived as its members or null, which no object is: it is its members or nothing more.
fn may_be_absent(parts: &mut AllOf) {
    for part in &mut parts.items {
        let RefOr::T(Schema::OneOf(either)) = part else { continue };
        if !either.items.iter().any(is_null) {
            continue;
        }
        let mut whole = AnyOfBuilder::new();
        for item in std::mem::take(&mut either.items) {
            if !is_null(&item) {
                whole = whole.item(item);
            }
        }
        *part = RefOr::T(Schema::AnyOf(whole.item(Object::new()).build()));
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(
        schema,
        RefOr::T(Schema::Object(Object {
            schema_type: SchemaType::Type(Type::Null),
            ..
        }))
    )
}
