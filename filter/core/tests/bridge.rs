//! The bridge's both directions, split at every byte, and against what it must not let pass.
#![expect(clippy::unwrap_used, reason = "a test may panic in its helpers too")]

use contract::resp::encode_command;
use filter_core::bridge::{Bridge, BridgeOut};
use proptest::prelude::*;

fn command(args: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    encode_command(&mut out, &args);
    out
}

fn request(replies: usize, body: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "POST /redis HTTP/1.1\r\nhost: redis\r\nX-Tollkeeper-Replies: {replies}\r\nx-envoy-internal: true\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    out.extend_from_slice(body);
    out
}

fn response(body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

/// What comes out of pieces; `None` once the bridge closed.
fn all<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    mut push: impl FnMut(&[u8]) -> BridgeOut,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for piece in pieces {
        match push(piece) {
            BridgeOut::Forward(bytes) => out.extend_from_slice(&bytes),
            BridgeOut::Close => return None,
        }
    }
    Some(out)
}

fn down<'a>(bridge: &mut Bridge, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    all(pieces, |piece| bridge.downstream(piece))
}

fn up<'a>(bridge: &mut Bridge, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    all(pieces, |piece| bridge.upstream(piece))
}

/// A bridge with one request of `replies` pings on its way.
fn waiting(replies: usize) -> Bridge {
    let mut bridge = Bridge::new();
    let body = command(&["PING"]).repeat(replies);
    assert_eq!(
        down(&mut bridge, [request(replies, &body).as_slice()]),
        Some(body)
    );
    bridge
}

#[test]
fn a_request_becomes_its_commands_and_the_replies_become_a_response_wherever_pieces_end() {
    let commands = [
        command(&["EVALSHA", "abc", "1", "tk:{p0}:x", "é"]),
        command(&["TIME"]),
    ]
    .concat();
    let request = request(2, &commands);
    let replies = b"*3\r\n+OK\r\n$5\r\na\r\nbc\r\n*2\r\n:-5\r\n$-1\r\n*2\r\n$2\r\n17\r\n$0\r\n\r\n";
    for at in 0..=request.len() {
        let mut bridge = Bridge::new();
        assert_eq!(
            down(&mut bridge, [&request[..at], &request[at..]]),
            Some(commands.clone())
        );
    }
    for at in 0..=replies.len() {
        let mut bridge = waiting(2);
        let out = up(&mut bridge, [&replies[..at], &replies[at..]]);
        assert_eq!(out, Some(response(replies)), "cut at {at}");
    }
    for size in 1..request.len() {
        let mut bridge = Bridge::new();
        assert_eq!(
            down(&mut bridge, request.chunks(size)),
            Some(commands.clone())
        );
        assert_eq!(up(&mut bridge, replies.chunks(1)), Some(response(replies)));
    }
}

#[test]
fn a_response_waits_for_all_of_its_replies_and_takes_no_more() {
    let mut bridge = waiting(2);
    assert_eq!(bridge.upstream(b"+OK\r\n"), BridgeOut::Forward(Vec::new()));
    assert_eq!(
        bridge.upstream(b"-ERR no\r\n"),
        BridgeOut::Forward(response(b"+OK\r\n-ERR no\r\n"))
    );
    assert_eq!(
        bridge.upstream(b"+OK\r\n"),
        BridgeOut::Close,
        "nobody asked"
    );
}

#[test]
fn requests_on_one_connection_are_answered_in_order_even_when_they_come_at_once() {
    let mut bridge = Bridge::new();
    let one = command(&["GET", "a"]);
    let two = [command(&["GET", "b"]), command(&["GET", "c"])].concat();
    let both = [request(1, &one), request(2, &two)].concat();
    assert_eq!(
        down(&mut bridge, [both.as_slice()]),
        Some([one.clone(), two].concat())
    );
    let out = up(&mut bridge, [&b"$1\r\nA\r\n$1\r\nB\r\n$1\r\nC\r\n"[..]]);
    assert_eq!(
        out,
        Some(
            [
                response(b"$1\r\nA\r\n"),
                response(b"$1\r\nB\r\n$1\r\nC\r\n")
            ]
            .concat()
        )
    );
    assert_eq!(down(&mut bridge, [request(1, &one).as_slice()]), Some(one));
    assert_eq!(
        up(&mut bridge, [&b"$-1\r\n"[..]]),
        Some(response(b"$-1\r\n"))
    );
}

#[test]
fn a_chunked_body_is_put_together() {
    let body = command(&["SET", "k", "a longer value"]);
    let (first, second) = body.split_at(9);
    let mut request =
        b"POST /redis HTTP/1.1\r\ntransfer-encoding: chunked\r\nx-tollkeeper-replies: 1\r\n\r\n"
            .to_vec();
    for chunk in [first, second] {
        request.extend_from_slice(format!("{:X}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    for size in 1..request.len() {
        let mut bridge = Bridge::new();
        assert_eq!(down(&mut bridge, request.chunks(size)), Some(body.clone()));
        assert_eq!(
            up(&mut bridge, [&b"+OK\r\n"[..]]),
            Some(response(b"+OK\r\n"))
        );
        assert_eq!(
            down(&mut bridge, [request.as_slice()]),
            Some(body.clone()),
            "the next one"
        );
    }
}

#[test]
fn a_malformed_request_closes_the_connection() {
    let ping = "*1\r\n$4\r\nPING\r\n";
    let with = |head: &str| format!("{head}\r\n\r\n{ping}");
    let good = "POST /redis HTTP/1.1\r\nx-tollkeeper-replies: 1\r\ncontent-length: 14";
    assert!(down(&mut Bridge::new(), [with(good).as_bytes()]).is_some());
    for bad in [
        with(&good.replace("POST", "GET")),
        with(&good.replace("/redis", "/other")),
        with(&good.replace("1.1", "1.0")),
        with(&good.replace("replies: 1", "replies: 0")),
        with(&good.replace("replies: 1", "replies: 99999")),
        with(&good.replace("replies: 1", "replies: 1\r\nx-tollkeeper-replies: 1")),
        with(&good.replace("length: 14", "length: 14\r\ncontent-length: 14")),
        with(&good.replace("length: 14", "length: +14")),
        with(&good.replace("length: 14", "length: 99999999")),
        with(&good.replace("length: 14", "length: 14\r\ntransfer-encoding: chunked")),
        with(&good.replace("content-length: 14", "transfer-encoding: gzip")),
        with(&good.replace("\r\ncontent-length: 14", "")),
        with(&good.replace("x-tollkeeper-replies: 1\r\n", "")),
        with(&good.replace(
            "x-tollkeeper-replies: 1",
            " folded: 1\r\nx-tollkeeper-replies: 1",
        )),
        with(&good.replace("\r\nx", "\nx")),
        with(&format!("{good}\r\nno colon")),
        with(&format!("{good}\r\nx: {}", "y".repeat(9000))),
    ] {
        assert_eq!(down(&mut Bridge::new(), [bad.as_bytes()]), None, "{bad}");
    }
    let body = |replies, body: &str| {
        down(
            &mut Bridge::new(),
            [request(replies, body.as_bytes()).as_slice()],
        )
    };
    assert_eq!(body(2, ping), None, "one command too few");
    assert_eq!(body(1, &ping.repeat(2)), None, "one too many");
    assert_eq!(body(1, &ping[..10]), None, "half a command");
    assert_eq!(body(1, ""), None);
    assert_eq!(body(1, "PING\r\n"), None, "inline");
    assert_eq!(body(1, "*0\r\n"), None, "Redis would not answer");
    assert_eq!(body(1, "*1\r\n:1\r\n"), None);
    assert_eq!(
        body(1, "*1\r\n$4\r\nPINGPONG"),
        None,
        "no line end after four bytes"
    );
    let chunked = |body: &str| {
        let head =
            "POST /redis HTTP/1.1\r\ntransfer-encoding: chunked\r\nx-tollkeeper-replies: 1\r\n\r\n";
        down(&mut Bridge::new(), [format!("{head}{body}").as_bytes()])
    };
    assert!(chunked(&format!("e\r\n{ping}\r\n0\r\n\r\n")).is_some());
    assert_eq!(chunked(&format!("e;x=1\r\n{ping}\r\n0\r\n\r\n")), None);
    assert_eq!(chunked(&format!("e\r\n{ping}0\r\n\r\n")), None);
    assert_eq!(chunked(&format!("e\r\n{ping}\r\n0\r\nx: y\r\n\r\n")), None);
    assert_eq!(
        chunked("fffffff\r\n*1\r\n"),
        Some(b"*1\r\n".to_vec()),
        "refused once it is too much"
    );
}

#[test]
fn malformed_replies_close_the_connection() {
    for bad in [
        "OK\r\n",
        "+OK\n",
        "$3\r\nabcd\r\n",
        "$-2\r\n",
        "*-2\r\n",
        ":x\r\n",
        ":\r\n",
        "$1x\r\n",
        "%1\r\n",
        "$99999999\r\n",
        "*99999\r\n",
        "\r\n",
        "+a\rb\r\n",
        "$2\r\nab\rx",
    ] {
        assert_eq!(up(&mut waiting(1), [bad.as_bytes()]), None, "{bad:?}");
    }
    let deep = "*1\r\n".repeat(9);
    assert_eq!(up(&mut waiting(1), [deep.as_bytes()]), None);
}

#[test]
fn nothing_grows_without_bound() {
    let long = [b"+".as_slice(), &vec![b'x'; 70_000]].concat();
    assert_eq!(
        up(&mut waiting(1), [long.as_slice()]),
        None,
        "an endless line"
    );
    let mut bridge = waiting(9);
    let reply = [b"$2000000\r\n".as_slice(), &vec![b'x'; 2_000_000], b"\r\n"].concat();
    assert_eq!(
        up(&mut bridge, std::iter::repeat_n(reply.as_slice(), 9)),
        None,
        "too much for one response"
    );
    let mut bridge = Bridge::new();
    let ping = request(1, &command(&["PING"]));
    assert_eq!(
        down(&mut bridge, std::iter::repeat_n(ping.as_slice(), 65)),
        None,
        "too many unanswered"
    );
    let big = command(&["SET", "k", &"v".repeat(4 * 1024 * 1024)]);
    assert_eq!(
        down(&mut Bridge::new(), [request(1, &big).as_slice()]),
        None
    );
}

#[test]
fn a_closed_bridge_stays_closed() {
    let mut bridge = Bridge::new();
    assert_eq!(
        bridge.downstream(b"GET / HTTP/1.1\r\n\r\n"),
        BridgeOut::Close
    );
    assert_eq!(
        bridge.downstream(&request(1, &command(&["PING"]))),
        BridgeOut::Close
    );
    assert_eq!(bridge.upstream(b"+PONG\r\n"), BridgeOut::Close);
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        "[ -~]{0,10}".prop_map(|text| format!("+{text}\r\n").into_bytes()),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| {
            [format!("${}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
        }),
        Just(b"$-1\r\n".to_vec()),
        Just(b"*-1\r\n".to_vec()),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop::collection::vec(inner, 0..5).prop_map(|items| {
            [format!("*{}\r\n", items.len()).into_bytes(), items.concat()].concat()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_replies_come_back_as_they_are(
        groups in prop::collection::vec(prop::collection::vec(reply(), 1..5), 1..5),
        size in 1_usize..50,
    ) {
        let mut bridge = Bridge::new();
        let mut expected = Vec::new();
        for group in &groups {
            let body = command(&["PING"]).repeat(group.len());
            prop_assert!(down(&mut bridge, [request(group.len(), &body).as_slice()]).is_some());
            expected.extend(response(&group.concat()));
        }
        let replies = groups.concat().concat();
        prop_assert_eq!(up(&mut bridge, replies.chunks(size)), Some(expected));
    }
}

/// How many rounds: `MUTATIONS` in the environment makes it more.
fn mutations(usual: u32) -> u32 {
    let asked = std::env::var("MUTATIONS").ok();
    asked.map_or(usual, |asked| asked.parse().unwrap())
}

/// A small fast generator, seeded the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % most as u64).unwrap()
    }
}

#[test]
fn mangled_conversations_do_no_harm() {
    let commands = [command(&["GET", "a"]), command(&["TIME"])].concat();
    let asked = request(2, &commands);
    let replies = b"$1\r\nA\r\n*2\r\n:1\r\n:2\r\n";
    let mut dice = Dice(0x1234_5678_9abc_def1);
    for _ in 0..mutations(300_000) {
        let (mut asked, mut answered) = (asked.clone(), replies.to_vec());
        let bytes = if dice.below(2) == 0 {
            &mut asked
        } else {
            &mut answered
        };
        for _ in 0..=dice.below(3) {
            let at = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\r\n:*$019 "[dice.below(9)]),
            }
        }
        let mut once = Bridge::new();
        let whole = (
            down(&mut once, [asked.as_slice()]),
            up(&mut once, [answered.as_slice()]),
        );
        let at = dice.below(asked.len() + 1);
        let mut twice = Bridge::new();
        let split = down(&mut twice, [&asked[..at], &asked[at..]]);
        assert_eq!((split, up(&mut twice, answered.chunks(3))), whole);
        if let (Some(passed), Some(_)) = whole {
            let within =
                passed.is_empty() || asked.windows(passed.len()).any(|part| part == passed);
            assert!(within, "only what was in a body passes");
        }
    }
}
