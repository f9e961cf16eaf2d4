//! The scripts on a real Redis as a ledger of the limit cases. Their one call of TIME is replaced by a key, nothing else.

use std::collections::BTreeMap;

use contract::id::ReservationId;
use contract::model::{ModelEvent, ScopeFigures};
use contract::money::NanoUsd;
use contract::redis_key::{self, RecordId};
use contract::resp::{Reply, encode_command};
use contract::script::{
    self, Admit, AdmitAnswer, By, Call, Correct, CorrectAnswer, Found, Load, LoadAnswer, LookUp,
    Open, Put, Release, ReleaseAnswer, Renew, RenewAnswer, Script, ScriptError, Settle,
    SettleAnswer, Sweep, SweepAnswer,
};

use crate::ledger::{Ledger, P0};
use crate::redis_server::{Connection, RedisServer};

/// Deletes what the simulated time has let expire, and names it.
const EXPIRE: &str = "
    local now,gone=tonumber(ARGV[1]),{}
    for _,key in ipairs(redis.call('KEYS','tk:*')) do
      local at=redis.call('PEXPIRETIME',key)
      if at>=0 and now>at then redis.call('DEL',key) gone[#gone+1]=key end
    end
    return gone";

pub struct LuaLedger {
    pub connection: Connection,
    hashes: BTreeMap<&'static str, String>,
    clock_ms: u64,
    /// Names of keys that the last move of time let expire.
    pub expired: Vec<String>,
    _server: RedisServer,
}

impl LuaLedger {
    pub fn start() -> Self {
        Self::with_sources(&|_, source| source)
    }

    /// With scripts changed by `change`.
    pub fn with_sources(change: &dyn Fn(Script, String) -> String) -> Self {
        let server = RedisServer::start(&["--maxmemory-policy", "noeviction"]);
        let mut connection = server.connect();
        let mut hashes = BTreeMap::new();
        for script in script::all() {
            let source = change(script, with_simulated_time(script.source()));
            let sha = connection.text(&[b"SCRIPT", b"LOAD", source.as_bytes()]);
            hashes.insert(script.sha(), sha);
        }
        Self {
            connection,
            hashes,
            clock_ms: 0,
            expired: Vec::new(),
            _server: server,
        }
    }

    /// Appends the call, made of the script that runs in simulated time.
    pub fn encode<C: Call>(&self, call: &C, out: &mut Vec<u8>) {
        let from = out.len();
        call.encode(By::Hash, out);
        let sha = call.script().sha();
        let at = out[from..]
            .windows(40)
            .position(|bytes| bytes == sha.as_bytes())
            .expect("the hash");
        out[from + at..from + at + 40].copy_from_slice(self.hashes[sha].as_bytes());
    }

    pub fn try_call<C: Call>(&mut self, call: &C) -> Result<C::Answer, ScriptError> {
        let mut command = Vec::new();
        self.encode(call, &mut command);
        call.decode(&self.connection.send(&command, 1)[0])
    }

    fn call<C: Call>(&mut self, call: &C) -> C::Answer {
        self.try_call(call).expect("an answer")
    }

    pub fn events_after(&mut self, id: &str) -> Vec<(String, ModelEvent)> {
        let spend = redis_key::spend(P0);
        let from = format!("({id}");
        let from = if id.is_empty() { "-" } else { &from };
        let reply = self
            .connection
            .command(&[b"XRANGE", spend.as_bytes(), from.as_bytes(), b"+"]);
        array(&reply).iter().map(event).collect()
    }
}

/// The source with its clock replaced.
fn with_simulated_time(source: &str) -> String {
    let simulated = "(function() local ms=tonumber(redis.call('GET','clock')) \
        return {math.floor(ms/1000),ms%1000*1000} end)()";
    source.replace("redis.call('TIME')", simulated)
}

pub fn array(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(Some(items)) => items,
        other => panic!("{other:?}"),
    }
}

pub fn bulk(reply: &Reply) -> &[u8] {
    match reply {
        Reply::Bulk(Some(bytes)) => bytes,
        other => panic!("{other:?}"),
    }
}

fn event(entry: &Reply) -> (String, ModelEvent) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let number = |bytes: &[u8]| text(bytes).parse::<u64>().expect("a number");
    let [id, fields] = array(entry) else {
        panic!("{entry:?}")
    };
    let fields: Vec<&[u8]> = array(fields).iter().map(bulk).collect();
    let [
        b"i",
        event,
        b"v",
        version,
        b"w",
        worker,
        b"q",
        sequence,
        b"c",
        cost,
        b"a",
        admitted,
        b"b",
        body,
    ] = fields[..]
    else {
        panic!("{fields:?}")
    };
    let event = ModelEvent {
        id: ReservationId::parse(&text(event)).expect("an id"),
        version: u8::try_from(number(version)).expect("a version"),
        worker: text(worker),
        sequence: number(sequence),
        cost: NanoUsd::new(number(cost)).expect("an amount"),
        admitted_ms: number(admitted),
        body: body.to_vec(),
    };
    (text(bulk(id)), event)
}

/// Reads a scope's header as `lua/scope.lua` writes it.
pub fn figures(header: &Reply) -> ScopeFigures {
    let Reply::Bulk(Some(header)) = header else {
        return ScopeFigures::default();
    };
    ScopeFigures {
        in_flight: number(header, 6, 4),
        spent: number(header, 10, 8),
        held: number(header, 18, 8),
        window_start_ms: number(header, 26, 6),
    }
}

/// How many closed rate segments a header counts, and the number of the first that the second string holds.
pub fn closed_segments(header: &Reply) -> (u64, u64) {
    let Reply::Bulk(Some(header)) = header else {
        return (0, 0);
    };
    (
        number(header, 74, 4) - number(header, 78, 4),
        number(header, 82, 4),
    )
}

fn number(header: &[u8], from: usize, size: usize) -> u64 {
    header[from..from + size]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Ledger for LuaLedger {
    fn clock(&self) -> u64 {
        self.clock_ms
    }

    fn set_clock(&mut self, clock_ms: u64) {
        self.clock_ms = clock_ms;
        let now = clock_ms.to_string();
        let mut commands = Vec::new();
        encode_command(&mut commands, &[b"SET", b"clock", now.as_bytes()]);
        encode_command(
            &mut commands,
            &[b"EVAL", EXPIRE.as_bytes(), b"0", now.as_bytes()],
        );
        let replies = self.connection.send(&commands, 2);
        let names = array(&replies[1]).iter().map(bulk);
        self.expired = names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
    }

    fn admit(&mut self, call: &Admit<'_>) -> AdmitAnswer {
        self.call(call)
    }

    fn settle(&mut self, call: &Settle<'_>) -> SettleAnswer {
        self.call(call)
    }

    fn release(&mut self, call: &Release<'_>) -> ReleaseAnswer {
        self.call(call)
    }

    fn renew(&mut self, call: &Renew<'_>) -> RenewAnswer {
        self.call(call)
    }

    fn sweep(&mut self, call: &Sweep<'_>) -> SweepAnswer {
        self.call(call)
    }

    fn put(&mut self, call: &Put<'_>) -> u64 {
        self.call(call)
    }

    fn load(&mut self, call: &Load<'_>) -> LoadAnswer {
        self.call(call)
    }

    fn correct(&mut self, call: &Correct<'_>) -> CorrectAnswer {
        self.call(call)
    }

    fn open(&mut self, call: &Open<'_>) -> bool {
        self.call(call)
    }

    fn look_up(&mut self, call: &LookUp<'_>) -> Option<Found> {
        match self.try_call(call) {
            Ok(found) => Some(found),
            Err(ScriptError::Redis(_)) => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn wipe(&mut self) {
        self.connection.words("FLUSHALL");
        self.set_clock(self.clock_ms);
    }

    fn figures(&mut self, scope: &RecordId) -> ScopeFigures {
        let key = redis_key::scope(P0, scope);
        figures(&self.connection.command(&[b"GET", key.as_bytes()]))
    }

    fn events(&mut self) -> Vec<ModelEvent> {
        self.events_after("")
            .into_iter()
            .map(|(_, event)| event)
            .collect()
    }
}
