//! Decides how the scripted upstream behaves for one request, from directives inside the request's own text.
//!
//! A request says what it wants as `[[word=value word …]]` anywhere in its body, for instance in a message: the gateway passes text
//! through untouched, so the same directive works for every endpoint. A directive that is not known is an error that the caller sees,
//! so that a misspelt test cannot pass by accident. How the behaviour is carried out is left to [`super::answer`].

use std::time::Duration;

use memchr::memmem;

/// What one request asked for. The default is a good, quick answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a directive of its own that a request gives or not"
)]
pub struct Script {
    /// `tag=…`: a name under which the test finds its calls.
    pub tag: Option<String>,
    /// `tokens=N`: completion tokens that the model would write; cut by the request's own cap.
    pub tokens: Option<u64>,
    /// `prompt=N`: prompt tokens to report instead of a count of the text.
    pub prompt: Option<u64>,
    /// `chunks=N`: content chunks of a stream; one a token where it is not said.
    pub chunks: Option<u64>,
    /// `delay_ms=N`: time before the head of the answer.
    pub delay: Duration,
    /// `chunk_ms=N`: time before each content chunk.
    pub between: Duration,
    /// `hold=NAME`: the answer's head waits until the test releases NAME.
    pub hold: Option<String>,
    /// `hold_end=NAME`: the last chunk waits until the test releases NAME.
    pub hold_end: Option<String>,
    /// `status=N`: an error of that status.
    pub status: Option<u16>,
    /// `reset`: the connection is closed without an answer.
    pub reset: bool,
    /// `reset_after=N`: the connection is closed after N content chunks.
    pub reset_after: Option<u64>,
    /// `no_usage`: the answer does not say what it used.
    pub no_usage: bool,
    /// `ignore_cap`: writes `tokens` even beyond the request's cap, as a faulty provider would.
    pub ignore_cap: bool,
    /// `split=N`: the bytes of the answer are sent N at a time.
    pub split: Option<usize>,
    /// `crlf`: event lines end in CR LF.
    pub crlf: bool,
}

impl Script {
    /// Reads the directives of a request body; the error is a sentence for the caller.
    pub fn find(body: &[u8]) -> Result<Self, String> {
        let mut script = Self::default();
        let Some(start) = memmem::find(body, b"[[") else {
            return Ok(script);
        };
        let inside = &body[start + 2..];
        // Arrays of token ids open with two brackets too; directives open with a letter.
        if !inside.first().is_some_and(u8::is_ascii_lowercase) {
            return Ok(script);
        }
        let Some(end) = memmem::find(inside, b"]]") else {
            return Ok(script);
        };
        let text = std::str::from_utf8(&inside[..end])
            .map_err(|_| "a directive is not UTF-8".to_owned())?;
        for word in text.split_ascii_whitespace() {
            script.apply(word)?;
        }
        Ok(script)
    }

    fn apply(&mut self, word: &str) -> Result<(), String> {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "tag" => self.tag = Some(value.to_owned()),
            "tokens" => self.tokens = Some(number(name, value)?),
            "prompt" => self.prompt = Some(number(name, value)?),
            "chunks" => self.chunks = Some(number(name, value)?),
            "delay_ms" => self.delay = Duration::from_millis(number(name, value)?),
            "chunk_ms" => self.between = Duration::from_millis(number(name, value)?),
            "hold" => self.hold = Some(value.to_owned()),
            "hold_end" => self.hold_end = Some(value.to_owned()),
            "status" => self.status = Some(number(name, value)?),
            "reset" => self.reset = true,
            "reset_after" => self.reset_after = Some(number(name, value)?),
            "no_usage" => self.no_usage = true,
            "ignore_cap" => self.ignore_cap = true,
            "split" => self.split = Some(number(name, value)?),
            "crlf" => self.crlf = true,
            _ => {
                return Err(format!(
                    "unknown directive `{word}` of the scripted upstream"
                ));
            }
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| {
        format!("directive `{name}` of the scripted upstream takes a whole number, not `{value}`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_inside_a_message_are_read() {
        let body = br#"{"messages":[{"role":"user","content":"hi [[tag=a tokens=20 chunks=5 delay_ms=10 no_usage crlf]] there"}]}"#;
        let script = Script::find(body).unwrap();
        assert_eq!(script.tag.as_deref(), Some("a"));
        assert_eq!((script.tokens, script.chunks), (Some(20), Some(5)));
        assert_eq!(script.delay, Duration::from_millis(10));
        assert!(script.no_usage && script.crlf && !script.reset);
    }

    #[test]
    fn a_body_without_directives_or_with_token_arrays_gets_the_default() {
        assert_eq!(
            Script::find(b"{\"input\":\"hello\"}").unwrap(),
            Script::default()
        );
        assert_eq!(
            Script::find(b"{\"input\":[[1,2],[3]]}").unwrap(),
            Script::default()
        );
    }

    #[test]
    fn a_misspelt_directive_is_named() {
        assert!(
            Script::find(b"[[tokns=3]]")
                .unwrap_err()
                .contains("tokns=3")
        );
        assert!(
            Script::find(b"[[tokens=many]]")
                .unwrap_err()
                .contains("many")
        );
    }
}
