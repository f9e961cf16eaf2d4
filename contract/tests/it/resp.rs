//! RESP2: whatever the pieces that bytes come in, and whatever the bytes.

use contract::resp::{
    Decoder, MAX_DEPTH, MAX_ELEMENTS, MAX_REPLY, Reply, RespError, decode_all, encode_command,
};
use proptest::prelude::*;

const REPLIES: &[u8] = b"+OK\r\n-ERR no\r\n:-12\r\n$5\r\na\r\nb\n\r\n$-1\r\n$0\r\n\r\n*-1\r\n*0\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n*0\r\n+\r\n";

fn bulk(bytes: &[u8]) -> Reply {
    Reply::Bulk(Some(bytes.to_vec()))
}

fn expected() -> Vec<Reply> {
    vec![
        Reply::Simple(b"OK".to_vec()),
        Reply::Error(b"ERR no".to_vec()),
        Reply::Integer(-12),
        bulk(b"a\r\nb\n"),
        Reply::Bulk(None),
        bulk(b""),
        Reply::Array(None),
        Reply::Array(Some(vec![])),
        Reply::Array(Some(vec![
            Reply::Integer(1),
            Reply::Array(Some(vec![bulk(b"x"), Reply::Array(Some(vec![]))])),
            Reply::Simple(vec![]),
        ])),
    ]
}

fn take_all(decoder: &mut Decoder) -> Vec<Reply> {
    std::iter::from_fn(|| decoder.next_reply()).collect()
}

fn decode_in_pieces(bytes: &[u8], size: usize) -> (Vec<Reply>, Option<RespError>) {
    let mut decoder = Decoder::default();
    let mut replies = Vec::new();
    for piece in bytes.chunks(size.max(1)) {
        let outcome = decoder.push(piece);
        replies.append(&mut take_all(&mut decoder));
        if let Err(error) = outcome {
            return (replies, Some(error));
        }
    }
    (replies, None)
}

fn print(reply: &Reply, out: &mut Vec<u8>) {
    let head = |out: &mut Vec<u8>, text: String| out.extend_from_slice(text.as_bytes());
    match reply {
        Reply::Simple(text) => out.extend([b"+", &text[..], b"\r\n"].concat()),
        Reply::Error(text) => out.extend([b"-", &text[..], b"\r\n"].concat()),
        Reply::Integer(number) => head(out, format!(":{number}\r\n")),
        Reply::Bulk(None) => head(out, "$-1\r\n".to_owned()),
        Reply::Array(None) => head(out, "*-1\r\n".to_owned()),
        Reply::Bulk(Some(bytes)) => {
            head(out, format!("${}\r\n", bytes.len()));
            out.extend([bytes, &b"\r\n"[..]].concat());
        }
        Reply::Array(Some(items)) => {
            head(out, format!("*{}\r\n", items.len()));
            for item in items {
                print(item, out);
            }
        }
    }
}

#[test]
fn a_command_is_an_array_of_bulk_strings() {
    let mut out = b"before".to_vec();
    encode_command(&mut out, &[b"SET", b"k\r\n", b""]);
    assert_eq!(out, b"before*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
}

#[test]
fn replies_split_at_every_byte_are_the_same() {
    for at in 0..=REPLIES.len() {
        let mut decoder = Decoder::default();
        decoder.push(&REPLIES[..at]).unwrap();
        let mut replies = take_all(&mut decoder);
        let is_whole = decode_all(&REPLIES[..at], replies.len()).is_ok();
        assert_eq!(decoder.is_mid_reply(), !is_whole, "at {at}");
        decoder.push(&REPLIES[at..]).unwrap();
        replies.append(&mut take_all(&mut decoder));
        assert_eq!(replies, expected(), "split at {at}");
        assert!(!decoder.is_mid_reply());
    }
    for size in 1..REPLIES.len() {
        assert_eq!(
            decode_in_pieces(REPLIES, size),
            (expected(), None),
            "pieces of {size}"
        );
    }
}

#[test]
fn exactly_the_expected_number_of_replies_is_taken() {
    assert_eq!(decode_all(REPLIES, 9), Ok(expected()));
    assert_eq!(decode_all(REPLIES, 8), Err(RespError::Malformed));
    assert_eq!(decode_all(REPLIES, 10), Err(RespError::Malformed));
    assert_eq!(
        decode_all(&REPLIES[..REPLIES.len() - 1], 9),
        Err(RespError::Malformed)
    );
    assert_eq!(decode_all(b"", 0), Ok(vec![]));
    assert_eq!(decode_all(b"+OK\r\n:", 1), Err(RespError::Malformed));
}

#[test]
fn what_is_not_resp2_is_refused_for_good() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"\r\n",
        b"\n",
        b"+OK\n",
        b"+a\rb\r\n",
        b":\r\n",
        b":+1\r\n",
        b": 1\r\n",
        b":1.5\r\n",
        b":99999999999999999999\r\n",
        b"$-2\r\n",
        b"*-2\r\n",
        b"$\r\n",
        b"$1\r\nab\r\n",
        b"$1\r\na\rx",
        b"*1\r\n!\r\n",
        b"_\r\n",
        b"%1\r\n",
    ] {
        let mut decoder = Decoder::default();
        assert_eq!(
            decoder.push(bytes),
            Err(RespError::Malformed),
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(decoder.push(b"+OK\r\n"), Err(RespError::Malformed));
        assert_eq!(decoder.next_reply(), None);
    }
}

#[test]
fn replies_before_the_fault_are_still_given() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.push(b"+OK\r\n!"), Ok(()));
    assert_eq!(decoder.push(b"\r\n"), Err(RespError::Malformed));
    assert_eq!(decoder.next_reply(), Some(Reply::Simple(b"OK".to_vec())));
}

#[test]
fn size_depth_and_elements_are_bounded() {
    let fails = |bytes: &[u8]| decode_in_pieces(bytes, 65_536).1;
    let string = |length: usize| {
        [
            format!("${length}\r\n").into_bytes(),
            vec![b'x'; length],
            b"\r\n".to_vec(),
        ]
        .concat()
    };
    let fits = MAX_REPLY - 12;
    assert_eq!(
        decode_all(&string(fits), 1),
        Ok(vec![bulk(&vec![b'x'; fits])])
    );
    assert_eq!(fails(&string(MAX_REPLY)), Some(RespError::TooLarge));
    assert_eq!(
        fails(format!("${}\r\n", MAX_REPLY + 1).as_bytes()),
        Some(RespError::TooLarge)
    );
    assert_eq!(fails(&vec![b'+'; MAX_REPLY + 2]), Some(RespError::TooLarge));
    assert_eq!(fails(&b"*1\r\n".repeat(MAX_DEPTH)), None);
    assert_eq!(
        fails(&b"*1\r\n".repeat(MAX_DEPTH + 1)),
        Some(RespError::TooLarge)
    );
    assert_eq!(
        fails(format!("*{}\r\n", MAX_ELEMENTS + 1).as_bytes()),
        Some(RespError::TooLarge)
    );
    let wide = |elements: usize| {
        [
            format!("*{elements}\r\n").as_bytes(),
            &b"$-1\r\n".repeat(elements),
        ]
        .concat()
    };
    assert_eq!(fails(&wide(MAX_ELEMENTS - 1)), None);
    assert_eq!(fails(&wide(MAX_ELEMENTS)), Some(RespError::TooLarge));
    let nested = [
        &b"*2\r\n"[..],
        &wide(MAX_ELEMENTS / 2),
        &wide(MAX_ELEMENTS / 2),
    ]
    .concat();
    assert_eq!(fails(&nested), Some(RespError::TooLarge));
}

#[test]
fn many_replies_in_one_stream_are_bounded_one_by_one() {
    let reply = [b"$8192\r\n", &[b'x'; 8192][..], b"\r\n"].concat();
    let mut decoder = Decoder::default();
    for _ in 0..1600 {
        decoder.push(&reply).unwrap();
        assert_eq!(decoder.waiting(), 1);
        assert!(decoder.next_reply().is_some());
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let line = || {
        prop::collection::vec(
            any::<u8>().prop_filter("a line", |byte| !b"\r\n".contains(byte)),
            0..20,
        )
    };
    let leaf = prop_oneof![
        line().prop_map(Reply::Simple),
        line().prop_map(Reply::Error),
        any::<i64>().prop_map(Reply::Integer),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..40)).prop_map(Reply::Bulk),
        Just(Reply::Array(None)),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop::collection::vec(inner, 0..6).prop_map(|items| Reply::Array(Some(items)))
    })
}

proptest! {
    #[test]
    fn what_is_printed_decodes_to_the_same_in_any_pieces(
        replies in prop::collection::vec(reply(), 0..6), size in 1_usize..50,
    ) {
        let mut bytes = Vec::new();
        for reply in &replies {
            print(reply, &mut bytes);
        }
        prop_assert_eq!(decode_all(&bytes, replies.len()), Ok(replies.clone()));
        prop_assert_eq!(decode_in_pieces(&bytes, size), (replies, None));
    }

    #[test]
    fn garbage_decodes_alike_in_any_pieces_and_never_panics(
        bytes in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'*'), Just(b'$'), Just(b'1'), Just(b'-'), any::<u8>()], 0..80),
        size in 1_usize..20,
    ) {
        let (whole, in_pieces) = (decode_in_pieces(&bytes, bytes.len()), decode_in_pieces(&bytes, size));
        prop_assert_eq!(whole, in_pieces);
    }

    #[test]
    fn a_flipped_byte_is_refused_or_another_reply_never_a_panic(at in 0..REPLIES.len(), byte in any::<u8>()) {
        let mut bytes = REPLIES.to_vec();
        bytes[at] = byte;
        let (replies, _) = decode_in_pieces(&bytes, 7);
        prop_assert!(replies.len() <= 40);
    }
}
