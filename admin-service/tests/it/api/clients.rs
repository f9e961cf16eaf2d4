//! One running service, and a client for everybody who may come.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tollkeeper_admin::clock::Clock;
use tollkeeper_admin::config::{Config, Environment, Options};
use tollkeeper_admin::publish::RedisState;
use tollkeeper_admin::serve::Service;

use super::document;
use crate::support::database::Database;
use crate::support::redis::TestRedis;

pub const MASTER: &str = "sk-master-key-of-the-tests-0123456789abcdef";

/// A password that the policy lets pass.
pub const PASSWORD: &str = "Abcdef12345!xyz";

/// A small catalogue: restoring thousands of models is another test's business.
pub const ONE_MODEL: &str = "
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o }
";

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// The status and body of a refusal.
    #[track_caller]
    pub fn refused(self) -> (u16, Value) {
        assert!(!self.status.is_success(), "{}", self.body);
        (self.status.as_u16(), self.body)
    }
}

/// Somebody with a credential.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    key: Option<String>,
    cookie: Option<String>,
}

impl Client {
    pub async fn call(&self, method: Method, path: &str, body: Option<&str>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let asked = method.to_string();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(cookie) = &self.cookie {
            // As a browser does for a page of the service itself.
            request = request.header("cookie", cookie);
            if headers.iter().all(|(name, _)| *name != "sec-fetch-site") {
                request = request.header("sec-fetch-site", "same-origin");
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let response = request.send().await.expect("the service answers");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let media = headers.get("content-type");
        let media = media.map(|media| media.to_str().unwrap());
        document::check(&asked, path, status.as_u16(), media, &body);
        Answer {
            status,
            headers,
            body,
        }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(&body.to_string())).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(&body.to_string()))
            .await
    }

    pub async fn delete(&self, path: &str, body: Value) -> Answer {
        self.call(Method::DELETE, path, Some(&body.to_string()))
            .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// A further session of the same user, who has taken up an invitation.
    pub async fn again(&self, user_id: &str) -> Self {
        let anonymous = Self {
            cookie: None,
            key: None,
            ..self.clone()
        };
        let body = json!({"username": user_id, "password": PASSWORD});
        let answer = anonymous.post("/v2/login", body).await;
        Self {
            cookie: Some(cookie_of(&answer)),
            ..anonymous
        }
    }

    /// The cookie of a browser.
    pub fn cookie(&self) -> &str {
        self.cookie.as_deref().expect("a browser")
    }

    /// A key of its own making.
    pub async fn new_key(&self, body: Value) -> Value {
        self.post("/key/generate", body).await.ok()
    }
}

/// The service with its database and Redis.
pub struct Api {
    pub service: Service,
    pub redis: TestRedis,
    pub database: Database,
    http: reqwest::Client,
}

impl Api {
    /// A service that has opened its Redis.
    pub async fn start(database: Database) -> Self {
        Self::configured(database, ONE_MODEL, Clock::System).await
    }

    pub async fn configured(database: Database, file: &str, clock: Clock) -> Self {
        let redis = TestRedis::start().await;
        let service = serve(&database, &redis.server.url(), file, clock).await;
        Self::of(service, redis, database).await
    }

    /// The same of a service that was started already.
    pub async fn of(service: Service, redis: TestRedis, database: Database) -> Self {
        let health = service.app().health.clone();
        health
            .wait_for(|report| report.redis == RedisState::Open)
            .await;
        Self {
            service,
            redis,
            database,
            http: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client"),
        }
    }

    pub fn client(&self, key: Option<&str>) -> Client {
        Client {
            base: format!("http://{}", self.service.address()),
            http: self.http.clone(),
            key: key.map(str::to_owned),
            cookie: None,
        }
    }

    /// Where the service listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.service.address()
    }

    /// The browser that was given this answer's cookie.
    pub fn browser(&self, answer: &Answer) -> Client {
        Client {
            cookie: Some(cookie_of(answer)),
            ..self.anonymous()
        }
    }

    /// The browser of a user who has taken up an invitation: a session.
    pub async fn signed_in(&self, user_id: &str) -> Client {
        let link = self.invite(user_id).await;
        let answer = self.claim(&link, user_id, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        self.browser(&answer)
    }

    /// An invitation's link.
    pub async fn invite(&self, user_id: &str) -> String {
        let body = json!({ "user_id": user_id });
        let invitation = self.master().post("/invitation/new", body).await.ok();
        text(&invitation, "id").to_owned()
    }

    /// The token that a link is traded for.
    pub async fn onboarding_token(&self, link: &str) -> String {
        let path = format!("/onboarding/get_token?invite_link={link}");
        let traded = self.anonymous().get(&path).await.ok();
        text(&claims(text(&traded, "token")), "key").to_owned()
    }

    /// Takes up an invitation.
    pub async fn claim(&self, link: &str, user_id: &str, password: &str) -> Answer {
        let token = self.onboarding_token(link).await;
        let body =
            json!({"invitation_link": link, "user_id": user_id, "password": password}).to_string();
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        self.anonymous()
            .call_with(
                Method::POST,
                "/onboarding/claim_token",
                Some(&body),
                &headers,
            )
            .await
    }

    pub fn anonymous(&self) -> Client {
        self.client(None)
    }

    pub fn stranger(&self) -> Client {
        self.client(Some("sk-nobody-has-this-key-0000"))
    }

    pub fn master(&self) -> Client {
        self.client(Some(MASTER))
    }

    /// A key without user.
    pub async fn keyholder(&self) -> Client {
        let key = self.master().new_key(json!({})).await;
        self.client(Some(text(&key, "key")))
    }

    /// A user of this role, with the key that was made along with it.
    pub async fn person(&self, role: &str) -> Person {
        self.person_with(json!({ "user_role": role })).await
    }

    pub async fn person_with(&self, body: Value) -> Person {
        let user = self.master().post("/user/new", body).await.ok();
        Person {
            id: text(&user, "user_id").to_owned(),
            client: self.client(Some(text(&user, "key"))),
        }
    }
}

/// A further service on the database of another.
pub struct Another {
    service: Service,
    http: reqwest::Client,
}

impl Api {
    /// Starts a further service.
    pub async fn on(url: &str, redis_url: &str, file: &str) -> Another {
        Another {
            service: serve_on(url, redis_url, file, Clock::System).await,
            http: reqwest::Client::new(),
        }
    }
}

impl Another {
    /// Asks with somebody's cookie.
    pub async fn call(&self, browser: &Client, path: &str) -> u16 {
        let url = format!("http://{}{path}", self.service.address());
        let request = self.http.get(url).header("cookie", browser.cookie());
        request.send().await.expect("it answers").status().as_u16()
    }

    /// Posts without credential.
    pub async fn post(&self, path: &str, body: &Value) -> u16 {
        let url = format!("http://{}{path}", self.service.address());
        let request = self.http.post(url).body(body.to_string());
        request.send().await.expect("it answers").status().as_u16()
    }
}

/// A user and their key.
#[derive(Clone)]
pub struct Person {
    pub id: String,
    pub client: Client,
}

pub async fn serve(database: &Database, redis_url: &str, file: &str, clock: Clock) -> Service {
    serve_on(&database.url, redis_url, file, clock).await
}

async fn serve_on(url: &str, redis_url: &str, file: &str, clock: Clock) -> Service {
    let options = Options {
        database: Some(url.to_owned()),
        redis: Some(redis_url.to_owned()),
        listen: Some("127.0.0.1:0".parse().unwrap()),
        master_key: Some(MASTER.to_owned()),
        ..Options::default()
    };
    let config = Config::parse(file, &options, Environment::default()).expect("a configuration");
    Service::start(config, clock)
        .await
        .expect("the service starts")
}

fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.header("set-cookie").expect("a cookie");
    let pair = cookie.split(';').next();
    pair.expect("a name and a value").to_owned()
}

/// The claims of a token, unchecked.
pub fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let claims = token.split('.').nth(1).expect("three parts");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(claims)
        .expect("base64");
    serde_json::from_slice(&claims).expect("JSON")
}

/// A text of an object.
#[track_caller]
pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {object}"))
}

/// Whether `actual` has everything that `expected` has; `"*"` stands for any value that is there. Recordings leave out what is null or empty.
#[track_caller]
pub fn assert_has(actual: &Value, expected: &Value) {
    if let Some(difference) = difference(actual, expected, "") {
        panic!("{difference}\nin {actual:#}");
    }
}

fn difference(actual: &Value, expected: &Value, path: &str) -> Option<String> {
    match (actual, expected) {
        (actual, Value::String(any)) if any == "*" => actual
            .is_null()
            .then(|| format!("{path}: expected a value, found null")),
        (Value::Object(actual), Value::Object(expected)) => {
            expected.iter().find_map(|(name, value)| {
                let path = format!("{path}.{name}");
                match actual.get(name) {
                    Some(found) => difference(found, value, &path),
                    None => Some(format!("{path}: expected {value}, found nothing")),
                }
            })
        }
        (Value::Array(actual), Value::Array(expected)) => {
            if actual.len() != expected.len() {
                return Some(format!(
                    "{path}: expected {} items, found {}",
                    expected.len(),
                    actual.len()
                ));
            }
            let pairs = actual.iter().zip(expected).enumerate();
            pairs
                .into_iter()
                .find_map(|(at, (a, e))| difference(a, e, &format!("{path}[{at}]")))
        }
        _ => (actual != expected).then(|| format!("{path}: expected {expected}, found {actual}")),
    }
}

/// The `error` object of LiteLLM's refusals.
pub fn error(status: u16, kind: &str, param: Option<&str>, message: &str) -> (u16, Value) {
    let error =
        json!({"message": message, "type": kind, "param": param, "code": status.to_string()});
    (status, json!({ "error": error }))
}

/// The `detail` object of LiteLLM's refusals.
pub fn detail(status: u16, detail: impl Into<Value>) -> (u16, Value) {
    (status, json!({ "detail": detail.into() }))
}
