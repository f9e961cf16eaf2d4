//! Where a request's key is looked for: everywhere that LiteLLM reads keys from, or in one header.

use std::rc::Rc;

use contract::key_header;

/// Where keys are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// In every header that LiteLLM knows, and in the query.
    Anywhere,
    /// In this header, in lower case.
    Header(Rc<str>),
}

impl KeyPlace {
    /// The place that a configuration names. A name that no key may stand under is none, so that nothing of the request is taken away.
    pub(crate) fn of(header: Option<&str>) -> Self {
        let header = header.filter(|name| key_header::is_free(name));
        header.map_or(Self::Anywhere, |name| Self::Header(name.into()))
    }

    /// The header, where it is one.
    pub(crate) fn header(&self) -> Option<&str> {
        match self {
            Self::Anywhere => None,
            Self::Header(name) => Some(name),
        }
    }
}
