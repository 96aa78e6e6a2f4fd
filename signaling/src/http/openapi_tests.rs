//! Tests that the OpenAPI document and the table of routes agree.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{pages, routes};
use crate::error::ErrorCode;

fn document() -> Value {
    serde_json::from_str(pages::OPENAPI).unwrap()
}

/// The codes of HTTP, those of the WebSocket alone left out.
fn over_http() -> impl Iterator<Item = ErrorCode> {
    ErrorCode::ALL.iter().copied().filter(|code| code.http_status().is_some())
}

#[test]
fn every_route_and_method_is_in_the_document_and_the_other_way_round() {
    let document = document();
    let verbs = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for verb in verbs.iter().filter(|&&verb| item.get(verb).is_some()) {
            documented.insert((path.clone(), verb.to_uppercase()));
        }
    }
    let served = routes::table().into_iter().flat_map(|route| {
        let path = route.path.replace("{*", "{");
        let operations = route.operations.into_iter();
        operations.map(move |operation| (path.clone(), operation.method.to_string()))
    });
    assert_eq!(documented, served.collect());
}

#[test]
fn the_document_says_where_everything_is_in_one_place() {
    assert_eq!(pages::OPENAPI.matches(pages::SERVERS).count(), 1);
    assert_eq!(pages::OPENAPI.matches("\"servers\"").count(), 1);
}

#[test]
fn what_a_post_takes_is_what_the_document_says() {
    let document = document();
    for route in routes::table() {
        let post = &document["paths"][route.path]["post"];
        let types = post["requestBody"]["content"].as_object().map(|content| {
            let types: Vec<_> = content.keys().map(String::as_str).collect();
            types.join(", ")
        });
        assert_eq!(route.accept_post.map(str::to_owned), types, "{}", route.path);
    }
}

#[test]
fn every_problem_is_in_the_document_and_the_other_way_round() {
    let document = document();
    let known: BTreeSet<_> = over_http().map(ErrorCode::code).collect();
    let codes = |value: &Value| -> BTreeSet<String> {
        let codes = value["enum"].as_array().unwrap().iter();
        codes.map(|code| code.as_str().unwrap().to_owned()).collect()
    };
    let listed = codes(&document["components"]["schemas"]["Problem"]["properties"]["code"]);
    assert!(listed.iter().map(String::as_str).eq(known.iter().copied()), "{listed:?}");

    // Each stands under its status, at one route or another.
    let mut answered = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let Some(responses) = operation.get("responses") else { continue };
            for (status, response) in responses.as_object().unwrap() {
                let Some(name) = response["$ref"].as_str() else { continue };
                let response = document.pointer(name.trim_start_matches('#')).unwrap();
                let schema = &response["content"]["application/problem+json"]["schema"]["allOf"][1];
                let described = response["description"].as_str().unwrap();
                for code in codes(&schema["properties"]["code"]) {
                    let known = over_http().find(|known| known.code() == code).unwrap();
                    assert_eq!(
                        known.http_status().unwrap().as_str(),
                        status,
                        "{verb} {path}: {code}"
                    );
                    let sentence = format!("`{code}`: {}", known.title());
                    assert!(described.contains(&sentence), "{described:?} lacks {sentence:?}");
                    answered.insert(code);
                }
            }
        }
    }
    // 405 belongs to the methods that are not in the document.
    answered.insert("method-not-allowed".to_owned());
    assert_eq!(answered, listed);
}
