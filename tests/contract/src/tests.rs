//! The contract against a description in which one thing after the other is changed: each is found.

use extend_pbx_standin::Call;
use serde_json::{Value, json};

use crate::openapi::OpenApi;
use crate::schema::{Checker, Way};
use crate::vocabulary;

/// As much of a description as the media servers and signing in need.
fn description() -> Value {
    let id = json!({"allOf": [{"type": "string"}], "description": "opaque"});
    let server = json!({"type": "object", "properties": {
        "id": id, "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "type": {"type": "string", "enum": ["INTERNAL", "EXTERNAL"], "readOnly": true},
        "enabled": {"type": "boolean", "default": true},
        "private_ipv4": {"type": "string"}, "public_ipv4": {"type": "string"},
        "max_concurrency": {"type": "integer", "format": "int32", "minimum": 1}}});
    let number = |name: &str, least: i64, most: i64| {
        json!({"name": name, "in": "query",
            "schema": {"type": "integer", "minimum": least, "maximum": most}})
    };
    let body = |schema: Value| json!({"content": {"application/json": {"schema": schema}}});
    json!({
        "openapi": "3.0.3",
        "security": [{"bearer": []}],
        "components": {"schemas": {"Server": server}},
        "paths": {
            "/auth/sign_in": {"post": {
                "security": [],
                "requestBody": body(json!({"type": "object", "required": ["username", "password"],
                    "properties": {"username": {"type": "string"}, "password": {"type": "string"}}})),
                "responses": {"4XX": {}, "200": body(json!({"oneOf": [
                    {"type": "object", "properties": {
                        "two_factor_enabled": {"type": "boolean"}, "token": {"type": "string"}}},
                    {"type": "object", "properties": {
                        "token_type": {"type": "string"}, "access_token": {"type": "string"},
                        "refresh_token": {"type": "string"}, "expires_in": {"type": "integer"}}}
                ]}))}
            }},
            "/media_servers": {
                "get": {
                    "parameters": [number("skip", 0, 1_000_000), number("top", 1, 100)],
                    "responses": {"4XX": {}, "200": body(json!({"type": "object", "properties": {
                        "count": {"type": "integer", "format": "int64", "minimum": 0},
                        "items": {"type": "array",
                            "items": {"$ref": "#/components/schemas/Server"}}}}))}
                },
                "post": {
                    "requestBody": body(json!({"required": ["name"],
                        "allOf": [{"$ref": "#/components/schemas/Server"}]})),
                    "responses": {"4XX": {}, "200": body(json!({"type": "object",
                        "properties": {"id": {"type": "string"}}}))}
                }
            }
        }
    })
}

/// The breaches of one changed description, with only the calls that it is about.
fn breaches(record: &[Call], change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut description = description();
    change(&mut description);
    let openapi = OpenApi::parse(&description.to_string()).unwrap();
    openapi.judge(record)
}

/// The calls that the description is about.
async fn record() -> Vec<Call> {
    let mut record = vocabulary::speak().await.unwrap();
    record.retain(|call| matches!(call.path.as_str(), "/auth/sign_in" | "/media_servers"));
    assert!(record.len() > 8);
    record
}

#[tokio::test]
async fn what_is_said_is_as_it_is_described() {
    assert_eq!(breaches(&record().await, |_| {}), Vec::<String>::new());
}

#[tokio::test]
async fn whatever_is_described_otherwise_is_found() {
    let post = "/paths/~1media_servers/post";
    let schema = "/components/schemas/Server/properties";
    let sign_in = "/paths/~1auth~1sign_in/post";
    let list = "/paths/~1media_servers/get";
    let answer = "responses/200/content/application~1json/schema";
    let cases: [(&str, String, Value); 13] = [
        (
            "no path",
            "/paths".to_owned(),
            json!({"/media_servers": {}}),
        ),
        (
            "another status",
            format!("{post}/responses"),
            json!({"201": {}}),
        ),
        (
            "no such field",
            schema.to_owned(),
            json!({"id": {"type": "string"}}),
        ),
        (
            "another type",
            format!("{schema}/enabled"),
            json!({"type": "string"}),
        ),
        (
            "another word",
            format!("{schema}/type/enum"),
            json!(["BUILT_IN"]),
        ),
        ("too long", format!("{schema}/name/maxLength"), json!(3)),
        (
            "too much",
            format!("{schema}/max_concurrency/maximum"),
            json!(500),
        ),
        (
            "read-only",
            format!("{schema}/enabled/readOnly"),
            json!(true),
        ),
        (
            "missing",
            format!("{sign_in}/requestBody/content/application~1json/schema/required"),
            json!(["username", "password", "domain"]),
        ),
        (
            "both of one",
            format!("{sign_in}/{answer}/oneOf"),
            json!([{"type": "object", "additionalProperties": true}, {"type": "object", "additionalProperties": true}]),
        ),
        ("the query", format!("{list}/parameters"), json!([])),
        (
            "too great a page",
            format!("{list}/parameters/1/schema/maximum"),
            json!(50),
        ),
        ("a token for all", format!("{list}/security"), json!([])),
    ];
    let record = record().await;
    for (what, pointer, value) in cases {
        let found = breaches(&record, |description| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = description.pointer_mut(parent).unwrap();
            match parent.as_array_mut() {
                Some(list) => list[name.parse::<usize>().unwrap()] = value,
                None => parent[name.replace("~1", "/")] = value,
            }
        });
        assert!(!found.is_empty(), "{what} was not found");
    }
}

#[test]
fn a_keyword_that_is_not_known_is_no_constraint_that_is_passed_over() {
    let root = Value::Null;
    let checker = Checker {
        root: &root,
        way: Way::Answer,
    };
    let why = checker
        .check(&json!({"pattern": "a"}), &json!("b"))
        .unwrap_err();
    assert!(why.contains("pattern is not known"), "{why}");
    for (schema, value) in [
        (
            json!({"type": "string", "format": "date_time"}),
            json!("2036-11-28 19:00"),
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(3_000_000_000_u32),
        ),
        (json!({"type": "number", "minimum": 0.5}), json!(0.4)),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!(["a", 1]),
        ),
        (json!({"$ref": "#/nowhere"}), json!(1)),
        (
            json!({"type": "string", "writeOnly": true}),
            json!("secret"),
        ),
        (json!({"type": "object"}), json!({"x": 1})),
        (json!({"type": "string"}), json!(null)),
    ] {
        checker
            .check(&schema, &value)
            .expect_err(&format!("{schema} {value}"));
    }
    let nullable = json!({"type": "string", "nullable": true});
    checker.check(&nullable, &json!(null)).unwrap();
}

#[tokio::test]
async fn what_nobody_asked_is_told() {
    let openapi = OpenApi::parse(&description().to_string()).unwrap();
    let record = vocabulary::speak().await.unwrap();
    let unspoken = openapi.unspoken(&record);
    assert!(!unspoken.contains(&"GET /media_servers".to_owned()));
    assert!(
        unspoken.contains(&"GET /ivr_servers".to_owned()),
        "it is not described"
    );
}
