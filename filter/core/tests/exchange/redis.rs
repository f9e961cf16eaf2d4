//! A Redis for tests: reads the commands that the core writes, answers plain ones from a map and scripts by the contract's own rules.

use std::collections::{BTreeMap, BTreeSet};

use contract::id::{ReservationId, Rev};
use contract::limits::{Budget, LimitKind, Limits};
use contract::model::Model;
use contract::money::NanoUsd;
use contract::records::{IndexEntry, Ready, Versioned};
use contract::redis_key::{Partition, RecordId};
use contract::resp::{Reply, decode_all};
use contract::script::{
    Admit, AdmitAnswer, Release, Renew, Renewal, ScopeLimits, ScopeWindow, Script, Settle,
    SettleAnswer, Settlement, Sweep, SweepAnswer,
};
use contract::window::BudgetWindow;

#[derive(Default)]
pub struct Redis {
    pub model: Model,
    pub values: BTreeMap<String, Vec<u8>>,
    pub known: BTreeSet<&'static str>,
    /// Names of the commands run, scripts by their names.
    pub log: Vec<String>,
}

const P0: Partition = Partition(0);

struct Args {
    args: std::vec::IntoIter<Vec<u8>>,
}

impl Args {
    fn bytes(&mut self) -> Vec<u8> {
        self.args.next().unwrap()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    fn number(&mut self) -> u64 {
        self.text().parse().unwrap()
    }

    fn size(&mut self) -> usize {
        usize::try_from(self.number()).unwrap()
    }

    fn optional(&mut self) -> Option<u64> {
        let text = self.text();
        (text != "-1").then(|| text.parse().unwrap())
    }

    fn id(&mut self) -> ReservationId {
        ReservationId::parse(&self.text()).unwrap()
    }

    fn limits(&mut self) -> Limits {
        let rpm = self.optional().map(|rpm| u32::try_from(rpm).unwrap());
        let tpm = self.optional();
        let parallel = self.optional().map(|slots| u32::try_from(slots).unwrap());
        let max = self.optional();
        let window = window(&self.text());
        let budget = max.map(|max| Budget {
            max: NanoUsd::new(max).unwrap(),
            window,
        });
        Limits {
            rpm,
            tpm,
            parallel,
            budget,
            ..Limits::default()
        }
    }
}

fn window(text: &str) -> BudgetWindow {
    let numbers = |list: &str| {
        list.split(',')
            .map(|number| number.parse().unwrap())
            .collect::<Vec<u64>>()
    };
    match text.split_at(1) {
        ("F", rest) => BudgetWindow::Fixed {
            anchor_ms: numbers(rest)[0],
            every_ms: numbers(rest)[1],
        },
        ("C", rest) => BudgetWindow::Calendar(numbers(rest)),
        _ => BudgetWindow::Lifetime,
    }
}

fn named(keys: &[String], part: &str) -> Vec<RecordId> {
    let ids = keys
        .iter()
        .filter_map(|key| key.split_once(part).map(|(_, id)| id.to_owned()));
    ids.map(|id| serde_json::from_value(serde_json::Value::String(id)).unwrap())
        .collect()
}

fn word(word: &str) -> Vec<Reply> {
    vec![Reply::Bulk(Some(word.as_bytes().to_vec()))]
}

fn number(number: u64) -> Reply {
    Reply::Integer(i64::try_from(number).unwrap())
}

fn optional(value: Option<u64>) -> Reply {
    value.map_or(Reply::Integer(-1), number)
}

fn ids(ids: &[ReservationId]) -> impl Iterator<Item = Reply> + '_ {
    ids.iter()
        .map(|id| Reply::Bulk(Some(id.to_string().into_bytes())))
}

/// What the admission script replies.
pub fn admit_reply(answer: &AdmitAnswer) -> Reply {
    let items = match answer {
        AdmitAnswer::Admitted {
            now_ms,
            remaining,
            watermark,
        } if remaining.is_empty() => {
            [word("again"), vec![number(*now_ms), number(*watermark)]].concat()
        }
        AdmitAnswer::Admitted {
            now_ms,
            remaining,
            watermark,
        } => {
            let left = remaining.iter().flat_map(|left| {
                [
                    left.rpm,
                    left.tpm,
                    left.parallel,
                    left.budget.map(NanoUsd::get),
                ]
                .map(optional)
            });
            [
                word("ok"),
                vec![number(*now_ms), number(*watermark)],
                left.collect(),
            ]
            .concat()
        }
        AdmitAnswer::Denied {
            now_ms,
            denial,
            expired,
        } => {
            let kind = match denial.kind {
                LimitKind::Rpm => "rpm",
                LimitKind::Tpm => "tpm",
                LimitKind::Parallel => "parallel",
                LimitKind::Budget => "budget",
            };
            let mut items = word("denied");
            items.push(number(*now_ms));
            items.push(number(u64::try_from(denial.scope).unwrap()));
            items.extend(word(kind));
            items.extend([
                number(denial.limit),
                number(denial.used),
                optional(denial.retry_after_ms),
            ]);
            items.extend(ids(expired));
            items
        }
        AdmitAnswer::Stale {
            now_ms,
            ready,
            records,
        } => {
            let mut items = word("stale");
            items.push(number(*now_ms));
            items.extend(word(&ready.encode()));
            items.extend(records.iter().cloned().map(Reply::Bulk));
            items
        }
        AdmitAnswer::NotReady => word("not_ready"),
        AdmitAnswer::Released => word("released"),
        AdmitAnswer::TooLate { now_ms } => [word("late"), vec![number(*now_ms)]].concat(),
    };
    Reply::Array(Some(items))
}

impl Redis {
    /// Runs concatenated commands at Redis time `now_ms`.
    pub fn run(&mut self, now_ms: u64, commands: &[u8], replies: usize) -> Vec<Reply> {
        let commands = decode_all(commands, replies).unwrap();
        commands
            .into_iter()
            .map(|command| self.one(now_ms, command))
            .collect()
    }

    fn one(&mut self, now_ms: u64, command: Reply) -> Reply {
        let Reply::Array(Some(items)) = command else {
            panic!("{command:?}")
        };
        let args: Vec<Vec<u8>> = items
            .into_iter()
            .map(|item| match item {
                Reply::Bulk(Some(bytes)) => bytes,
                other => panic!("{other:?}"),
            })
            .collect();
        match args[0].as_slice() {
            b"MGET" => {
                self.log.push("MGET".to_owned());
                let value =
                    |name: &Vec<u8>| self.values.get(std::str::from_utf8(name).unwrap()).cloned();
                Reply::Array(Some(
                    args[1..]
                        .iter()
                        .map(|name| Reply::Bulk(value(name)))
                        .collect(),
                ))
            }
            b"EVAL" | b"EVALSHA" => self.script(now_ms, args),
            other => panic!("{other:?}"),
        }
    }

    fn script(&mut self, now_ms: u64, mut args: Vec<Vec<u8>>) -> Reply {
        let by_hash = args[0] == b"EVALSHA";
        let script = contract::script::all().into_iter().find(|script| {
            let name = if by_hash {
                script.sha()
            } else {
                script.source()
            };
            name.as_bytes() == args[1]
        });
        let script = script.unwrap();
        if by_hash && !self.known.contains(script.sha()) {
            return Reply::Error(b"NOSCRIPT No matching script.".to_vec());
        }
        self.known.insert(script.sha());
        self.log.push(format!("{script:?}"));
        let count: usize = std::str::from_utf8(&args[2]).unwrap().parse().unwrap();
        let rest = args.split_off(3 + count);
        let keys: Vec<String> = args[3..]
            .iter()
            .map(|key| String::from_utf8(key.clone()).unwrap())
            .collect();
        let mut args = Args {
            args: rest.into_iter(),
        };
        match script {
            Script::Admit => self.admit(now_ms, &keys, &mut args),
            Script::Settle => self.settle(now_ms, &keys, &mut args),
            Script::Renew => self.renew(now_ms, &keys, &mut args),
            Script::LookUp => self.look_up(now_ms, &keys, &mut args),
            Script::Release => {
                let ids: Vec<_> = args
                    .args
                    .map(|id| ReservationId::parse(std::str::from_utf8(&id).unwrap()).unwrap())
                    .collect();
                let answer = self.model.release(
                    now_ms,
                    &Release {
                        partition: P0,
                        ids: &ids,
                    },
                );
                Reply::Array(Some(
                    [
                        word("ok"),
                        vec![number(answer.now_ms), number(answer.released)],
                    ]
                    .concat(),
                ))
            }
            Script::Sweep => {
                let listed: Vec<_> = args
                    .args
                    .map(|id| ReservationId::parse(std::str::from_utf8(&id).unwrap()).unwrap())
                    .collect();
                let SweepAnswer::Done {
                    now_ms,
                    charged,
                    released,
                } = self.model.sweep(
                    now_ms,
                    &Sweep {
                        partition: P0,
                        ids: &listed,
                    },
                )
                else {
                    return Reply::Array(Some(word("not_ready")));
                };
                let mut items = word("ok");
                items.extend([
                    number(now_ms),
                    number(u64::try_from(charged.len()).unwrap()),
                ]);
                items.extend(ids(&charged));
                items.extend(ids(&released));
                Reply::Array(Some(items))
            }
            other => panic!("{other:?}"),
        }
    }

    fn admit(&mut self, now_ms: u64, keys: &[String], args: &mut Args) -> Reply {
        let (id, worker, partitions) = (args.id(), args.text(), args.number());
        let catalogue = Rev::new(args.number()).unwrap();
        let (not_after_ms, travel_ms, tokens) = (args.number(), args.number(), args.number());
        let (cost, body) = (NanoUsd::new(args.number()).unwrap(), args.bytes());
        let (records, scopes) = (args.size(), args.size());
        let revs: Vec<Rev> = (0..records)
            .map(|_| Rev::new(args.number()).unwrap())
            .collect();
        let limits: Vec<Limits> = (0..scopes).map(|_| args.limits()).collect();
        let records: Vec<(RecordId, Rev)> = named(keys, ":rec:").into_iter().zip(revs).collect();
        let names = named(keys, ":sc:");
        let scopes: Vec<ScopeLimits<'_>> = names
            .iter()
            .zip(&limits)
            .map(|(id, limits)| ScopeLimits { id, limits })
            .collect();
        let answer = self.model.admit(
            now_ms,
            &Admit {
                partition: P0,
                partitions: u16::try_from(partitions).unwrap(),
                id,
                worker: &worker,
                not_after_ms,
                travel_ms,
                catalogue,
                records: &records,
                scopes: &scopes,
                tokens,
                cost,
                body: &body,
            },
        );
        admit_reply(&answer)
    }

    /// From the values alone, so that tests can make them contradict what scripts that write go by.
    fn look_up(&self, now_ms: u64, keys: &[String], args: &mut Args) -> Reply {
        let (known, prefix) = (args.bytes(), args.text());
        let value = |name: &str| self.values.get(name).cloned();
        let (index, entry) = (value(&keys[0]), value(&keys[1]));
        let newer = index.as_ref().is_some_and(|ready| ready[6..22] != known);
        let settings = newer.then(|| value(&keys[2])).flatten();
        let mut stored = vec![index, value(&keys[3]), settings, entry.clone()];
        if let Some(entry) = entry {
            let Some(entry) = Versioned::<IndexEntry>::decode(&entry) else {
                return Reply::Error(b"ERR user_script:9: Expected object key string".to_vec());
            };
            let names = entry.value.records;
            stored.extend(names.iter().map(|id| value(&format!("{prefix}{id}"))));
        }
        let mut items = word("ok");
        items.push(number(now_ms));
        items.extend(stored.into_iter().map(Reply::Bulk));
        Reply::Array(Some(items))
    }

    fn settle(&mut self, now_ms: u64, keys: &[String], args: &mut Args) -> Reply {
        let (partitions, worker, first_sequence) = (args.number(), args.text(), args.number());
        let (items, scopes) = (args.size(), args.size());
        let windows: Vec<BudgetWindow> = (0..scopes).map(|_| window(&args.text())).collect();
        let names = named(keys, ":sc:");
        let mut read = Vec::new();
        for _ in 0..items {
            let (id, admitted_ms, tokens, cost) =
                (args.id(), args.number(), args.number(), args.number());
            let listed: Vec<ScopeWindow<'_>> = args
                .text()
                .split(' ')
                .map(|at| at.parse::<usize>().unwrap() - 1)
                .map(|at| ScopeWindow {
                    id: &names[at],
                    window: Some(&windows[at]),
                })
                .collect();
            read.push((
                id,
                admitted_ms,
                tokens,
                NanoUsd::new(cost).unwrap(),
                listed,
                args.bytes(),
            ));
        }
        let items: Vec<Settlement<'_>> = read
            .iter()
            .map(|(id, admitted_ms, tokens, cost, scopes, body)| Settlement {
                id: *id,
                admitted_ms: *admitted_ms,
                tokens: *tokens,
                cost: *cost,
                scopes,
                body,
            })
            .collect();
        let call = Settle {
            partition: P0,
            partitions: u16::try_from(partitions).unwrap(),
            worker: &worker,
            first_sequence,
            items: &items,
        };
        Reply::Array(Some(match self.model.settle(now_ms, &call) {
            SettleAnswer::Done { now_ms, watermark } => {
                [word("ok"), vec![number(now_ms), number(watermark)]].concat()
            }
            SettleAnswer::NotReady => word("not_ready"),
        }))
    }

    fn renew(&mut self, now_ms: u64, keys: &[String], args: &mut Args) -> Reply {
        let (worker, last_sequence) = (args.text(), args.number());
        let (items, scopes) = (args.size(), args.size());
        let limits: Vec<Limits> = (0..scopes)
            .map(|_| Limits {
                rpm: (args.number() == 1).then_some(1),
                ..Limits::default()
            })
            .collect();
        let names = named(keys, ":sc:");
        let mut read = Vec::new();
        for _ in 0..items {
            let (id, admitted_ms, tokens, cost) =
                (args.id(), args.number(), args.number(), args.number());
            let listed: Vec<ScopeLimits<'_>> = args
                .text()
                .split(' ')
                .map(|at| at.parse::<usize>().unwrap() - 1)
                .map(|at| ScopeLimits {
                    id: &names[at],
                    limits: &limits[at],
                })
                .collect();
            read.push((
                id,
                admitted_ms,
                tokens,
                NanoUsd::new(cost).unwrap(),
                listed,
                args.bytes(),
            ));
        }
        let items: Vec<Renewal<'_>> = read
            .iter()
            .map(|(id, admitted_ms, tokens, cost, scopes, body)| Renewal {
                id: *id,
                admitted_ms: *admitted_ms,
                tokens: *tokens,
                cost: *cost,
                scopes,
                body,
            })
            .collect();
        let call = Renew {
            partition: P0,
            worker: &worker,
            last_sequence,
            items: &items,
        };
        let answer = self.model.renew(now_ms, &call);
        let mut reply = [
            word("ok"),
            vec![number(answer.now_ms), number(answer.watermark)],
        ]
        .concat();
        reply.extend(ids(&answer.lost));
        Reply::Array(Some(reply))
    }

    /// Writes a value that lies under a record's or catalogue's name, also where scripts see it.
    pub fn put(&mut self, name: String, value: Vec<u8>) {
        self.values.insert(name.clone(), value.clone());
        self.model.put(&contract::script::Put {
            values: &[(name, value)],
        });
    }

    /// Loses a value.
    pub fn remove(&mut self, name: &str) {
        self.values.remove(name);
        self.model.lose(name);
    }

    /// Opens the partition and its index.
    pub fn open(&mut self, ready: &Ready) {
        for key in [
            contract::redis_key::ready(P0),
            contract::redis_key::index_ready(P0),
        ] {
            self.model
                .open(&contract::script::Open { key: &key, ready });
            self.values.insert(key, ready.encode().into_bytes());
        }
    }
}
