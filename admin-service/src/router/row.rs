//! What one row of the route table says: what is done, who may, and what goes in and out.
//!
//! A row cannot be finished without saying who may call it and what it answers; the document, the sweep over all roles and the tests that hold
//! answers against the document are made of these rows.

use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use crate::app::App;
use crate::openapi::schema::{Of, Told};
use crate::policy::Action;
use crate::request::{Field, Param};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody, without credential.
    Public,
    /// Whom the policy table lets do this.
    By(Action),
}

impl From<Action> for Access {
    fn from(action: Action) -> Self {
        Self::By(action)
    }
}

/// What a route's body is.
#[derive(Clone, Copy, Debug)]
pub enum Sent {
    /// It reads none.
    Nothing,
    /// A JSON object of these fields.
    Json(&'static [Field]),
    /// A form of these fields, as browsers send it.
    Form(&'static [Field]),
}

/// What a route answers when it does what was asked.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// JSON.
    Json(Of),
    /// JSON about what was made, by 201.
    Created(Of),
    /// Nothing, by 204.
    Nothing,
    /// Anything else: its media type.
    Other(&'static str),
    /// JSON, or this media type where the request asks for it.
    JsonOr(Of, &'static str),
    /// A redirect to another place, by 303.
    Redirect,
}

/// A route.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its method.
    pub method: &'static str,
    /// Its path, `{name}` standing for a segment.
    pub path: &'static str,
    /// LiteLLM's name of it.
    pub name: &'static str,
    /// Who may.
    pub access: Access,
    /// Its body.
    pub sent: Sent,
    /// Its query.
    pub query: &'static [Param],
    /// Its refusals beside those that every such route has.
    pub also: &'static [u16],
    /// What its answer may say in headers.
    pub tells: &'static [Told],
    /// Its answer.
    pub reply: Reply,
    pub(super) handler: MethodRouter<App>,
}

impl Row {
    /// Whether it makes something, and a repeat must not make it twice: LiteLLM's names of such routes.
    pub fn creates(&self) -> bool {
        let last = self.path.rsplit('/').next().unwrap_or_default();
        self.method == "POST" && (matches!(last, "new" | "generate") || last.ends_with("add"))
    }

    /// Whether requests of its method may have a body, and it reads none.
    pub fn leaves_body(&self) -> bool {
        self.method != "GET" && matches!(self.sent, Sent::Nothing)
    }
}

/// A row that does not say yet what it answers.
#[derive(Debug)]
pub struct Draft(Row);

impl Draft {
    /// The fields of its JSON body: the table that the handler reads it with.
    #[must_use]
    pub fn body(mut self, fields: &'static [Field]) -> Self {
        self.0.sent = Sent::Json(fields);
        self
    }

    /// The parameters of its query: the table that the handler reads it with.
    #[must_use]
    pub fn query(mut self, params: &'static [Param]) -> Self {
        self.0.query = params;
        self
    }

    /// Statuses that it refuses with beside 400, 401, 403, 413, 422 and 503, which every route has that has cause for them.
    #[must_use]
    pub fn also(mut self, statuses: &'static [u16]) -> Self {
        self.0.also = statuses;
        self
    }

    /// What its answer may say in headers.
    #[must_use]
    pub fn tells(mut self, headers: &'static [Told]) -> Self {
        self.0.tells = headers;
        self
    }

    /// The fields of its form: the table that the handler reads it with.
    #[must_use]
    pub fn form(mut self, fields: &'static [Field]) -> Self {
        self.0.sent = Sent::Form(fields);
        self
    }

    /// It answers something of this media type.
    pub fn other(mut self, media: &'static str) -> Row {
        self.0.reply = Reply::Other(media);
        self.0
    }

    /// It answers JSON, or this media type where the request asks for it.
    pub fn json_or(mut self, of: Of, media: &'static str) -> Row {
        self.0.reply = Reply::JsonOr(of, media);
        self.0
    }

    /// It answers a redirect.
    pub fn redirects(mut self) -> Row {
        self.0.reply = Reply::Redirect;
        self.0
    }

    /// It answers JSON about what it made.
    pub fn created(mut self, of: Of) -> Row {
        self.0.reply = Reply::Created(of);
        self.0
    }

    /// It answers nothing.
    pub fn nothing(mut self) -> Row {
        self.0.reply = Reply::Nothing;
        self.0
    }

    /// It answers JSON.
    pub fn json(mut self, of: Of) -> Row {
        self.0.reply = Reply::Json(of);
        self.0
    }
}

macro_rules! methods {
    ($($name:ident, $method:literal;)*) => {$(
        #[doc = concat!("A row of method ", $method, ".")]
        pub fn $name<H, T>(access: impl Into<Access>, path: &'static str, name: &'static str, handler: H) -> Draft
        where
            H: Handler<T, App>,
            T: 'static,
        {
            Draft(Row {
                method: $method,
                path,
                name,
                access: access.into(),
                sent: Sent::Nothing,
                query: &[],
                also: &[],
                tells: &[],
                reply: Reply::Redirect,
                handler: routing::$name(handler),
            })
        }
    )*};
}

methods! {
    get, "GET";
    post, "POST";
    put, "PUT";
    patch, "PATCH";
    delete, "DELETE";
}
