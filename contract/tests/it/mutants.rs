//! Does the suite bite? Each mutant is the scripts with one rule broken; the random sequences must tell it from the model.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use contract::script::Script;

use crate::lua_ledger::LuaLedger;
use crate::random;

struct Mutant {
    name: &'static str,
    /// Only in this script; `None`: wherever the text is.
    script: Option<Script>,
    from: &'static str,
    to: &'static str,
}

const fn mutant(
    name: &'static str,
    script: Script,
    from: &'static str,
    to: &'static str,
) -> Mutant {
    Mutant {
        name,
        script: Some(script),
        from,
        to,
    }
}

const fn everywhere(name: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant {
        name,
        script: None,
        from,
        to,
    }
}

const MUTANTS: &[Mutant] = &[
    everywhere(
        "the minute is a second short",
        "RATE_WINDOW=60000",
        "RATE_WINDOW=59000",
    ),
    everywhere(
        "the minute is a millisecond short",
        "RATE_WINDOW=60000",
        "RATE_WINDOW=59999",
    ),
    everywhere(
        "segments leave by their first admission",
        "if leaves>s.leaves then",
        "if s.leaves==0 then",
    ),
    everywhere(
        "segments are a millisecond longer",
        "now-s.opened>=SEGMENT",
        "now-s.opened>SEGMENT",
    ),
    everywhere("slots are not freed", "s.n=math.max(0,s.n-1)", "s.n=s.n"),
    everywhere(
        "held money is not freed",
        "s.held=math.max(0,s.held-amount)",
        "s.held=s.held",
    ),
    everywhere(
        "budget windows roll a millisecond late",
        "s.next>0 and now>=s.next",
        "s.next>0 and now>s.next",
    ),
    everywhere(
        "budget windows never roll by themselves",
        "if s.next>0 and now>=s.next then",
        "if false then",
    ),
    everywhere(
        "closed segments are not corrected",
        "elseif number>=s.first and",
        "elseif false and",
    ),
    everywhere(
        "rewritten segments keep their old place",
        "s.base=s.first\n",
        "\n",
    ),
    everywhere(
        "scopes forget what was spent",
        "gone=s.spent==0 and now or s.next",
        "gone=now",
    ),
    everywhere(
        "scopes forget their rate window",
        "math.max(gone,now,s.leaves,s.last_leaves)+MARGIN",
        "now",
    ),
    mutant(
        "time may go back",
        Script::Admit,
        "if s.seen>now then now=s.seen end\n  scopes",
        "scopes",
    ),
    mutant(
        "travel is not counted",
        Script::Admit,
        "now+RATE_WINDOW+tonumber(ARGV[6])",
        "now+RATE_WINDOW",
    ),
    mutant(
        "tombstones are ignored",
        Script::Admit,
        "if got[1] then",
        "if is_live(got[1]) then",
    ),
    mutant(
        "repeats are admitted anew",
        Script::Admit,
        "if got[1] then",
        "if got[1] and not is_live(got[1]) then",
    ),
    mutant(
        "the time limit is ignored",
        Script::Admit,
        "not_after>0 and now>not_after",
        "false",
    ),
    mutant(
        "P is ignored",
        Script::Admit,
        "or string.sub(ready,1,5)~=ARGV[3]",
        "",
    ),
    mutant(
        "the catalogue is not compared",
        Script::Admit,
        "string.sub(ready,7,22)~=ARGV[4]",
        "false",
    ),
    mutant(
        "records are not compared",
        Script::Admit,
        "then stale=true end",
        "then end",
    ),
    mutant(
        "an absent record is as good as any",
        Script::Admit,
        "got[2+i] or ABSENT",
        "got[2+i] or ARGV[11+i]",
    ),
    mutant(
        "slots open at once after a wipe",
        Script::Admit,
        "now<full",
        "false",
    ),
    mutant(
        "held money does not count",
        Script::Admit,
        "local used=s.spent+s.held",
        "local used=s.spent",
    ),
    mutant("rpm is one too many", Script::Admit, "s.r+1>rpm", "s.r>rpm"),
    mutant(
        "parallel is one too many",
        Script::Admit,
        "s.n+1>parallel",
        "s.n>parallel",
    ),
    mutant(
        "overdue ids need no beat",
        Script::Admit,
        "or 0)>=at-BEAT",
        "or 0)>=0",
    ),
    mutant(
        "the watermark is ignored",
        Script::Settle,
        "sequence>settled and",
        "",
    ),
    mutant(
        "gaps are settled",
        Script::Settle,
        "if first>settled+1",
        "if false",
    ),
    mutant(
        "an id counts twice in a batch",
        Script::Settle,
        "  seen[id]=true\n",
        "",
    ),
    mutant(
        "a swept charge is not corrected",
        Script::Settle,
        "spend(s,cost-swept.cost)",
        "",
    ),
    mutant(
        "a swept charge is corrected in any window",
        Script::Settle,
        "s.start==swept.starts[k]",
        "true",
    ),
    mutant(
        "what Redis lost is not charged",
        Script::Settle,
        "spend(touch(names[tonumber(number)]),cost)",
        "",
    ),
    mutant(
        "an outdated window rolls",
        Script::Settle,
        "s.window=='' and windows[name] or s.window",
        "windows[name]",
    ),
    mutant(
        "a settled lease stays",
        Script::Settle,
        "if #ended>0 then",
        "if false then",
    ),
    mutant(
        "release keeps the place in the minute",
        Script::Release,
        "-1,-held.tokens",
        "0,0",
    ),
    mutant(
        "release is not remembered",
        Script::Release,
        "redis.call('SET',KEYS[1+i],'R','PXAT',F(now+RELEASED))",
        "redis.call('DEL',KEYS[1+i])",
    ),
    mutant(
        "release is remembered a second less",
        Script::Release,
        "now+RELEASED",
        "now+RELEASED-1000",
    ),
    mutant(
        "sweep ignores the deadline",
        Script::Sweep,
        "and tonumber(score)<=at",
        "",
    ),
    mutant(
        "sweep is a millisecond late",
        Script::Sweep,
        "tonumber(score)<=at",
        "tonumber(score)<at",
    ),
    mutant(
        "sweep needs no beat",
        Script::Sweep,
        "or 0)<at-BEAT",
        "or 0)<0",
    ),
    mutant(
        "sweep charges what was never sent",
        Script::Sweep,
        "string.byte(got[i])==83",
        "true",
    ),
    mutant(
        "sweep charges nothing",
        Script::Sweep,
        "if sent then spend(s,held.cost) end",
        "",
    ),
    mutant(
        "renewal does not mark as sent",
        Script::Renew,
        "redis.call('SETRANGE',key,'0','S')",
        "",
    ),
    mutant(
        "renewal does not prolong",
        Script::Renew,
        "if #deadlines>0 then",
        "if false then",
    ),
    mutant(
        "renewal is no beat",
        Script::Renew,
        "redis.call('SET',KEYS[2],F(at))",
        "",
    ),
    mutant(
        "renewal brings settled requests back",
        Script::Renew,
        "settled<=tonumber(ARGV[2]) and",
        "",
    ),
    mutant(
        "renewal takes no place in the minute",
        Script::Renew,
        "if rated[number] and",
        "if false and",
    ),
    mutant(
        "an open partition is loaded",
        Script::Load,
        "redis.call('EXISTS',KEYS[1])==1",
        "false",
    ),
    mutant(
        "a repeated load adds up",
        Script::Load,
        "if number>=keep then",
        "if true then",
    ),
    mutant("an older record is written", Script::Put, "old<rev", "true"),
    mutant(
        "an older catalogue is written",
        Script::Open,
        ">=string.sub(new,7,22)",
        "=='x'",
    ),
    mutant(
        "a correction is made twice",
        Script::Correct,
        "sequence<=done",
        "false",
    ),
    mutant(
        "a correction overtakes another",
        Script::Correct,
        "sequence>done+1",
        "false",
    ),
    mutant(
        "a correction counts in every window",
        Script::Correct,
        "s.start==tonumber(ARGV[3])",
        "true",
    ),
    mutant(
        "a correction adds",
        Script::Correct,
        "-tonumber(ARGV[4])",
        "tonumber(ARGV[4])",
    ),
    mutant(
        "settings that are known come along",
        Script::LookUp,
        "~=ARGV[1]",
        "~='x'",
    ),
    mutant(
        "settings come from a closed index",
        Script::LookUp,
        "got[1] and string",
        "string",
    ),
    mutant(
        "records come in another order",
        Script::LookUp,
        "names[i]=ARGV[2]..id",
        "table.insert(names,1,ARGV[2]..id)",
    ),
    mutant(
        "the partition's marker stands for the index's",
        Script::LookUp,
        "clock(),got[1],got[3]",
        "clock(),got[3],got[3]",
    ),
];

fn is_caught(mutant: &Mutant) -> bool {
    let applied = AtomicUsize::new(0);
    let change = |script, source: String| {
        if mutant.script.is_some_and(|only| only != script) || !source.contains(mutant.from) {
            return source;
        }
        applied.fetch_add(1, Ordering::Relaxed);
        source.replace(mutant.from, mutant.to)
    };
    let is_caught =
        (11..19).any(|seed| random::run(LuaLedger::with_sources(&change), seed, 10_000).is_err());
    assert!(
        applied.load(Ordering::Relaxed) > 0,
        "{}: its text is in no script",
        mutant.name
    );
    is_caught
}

#[test]
fn every_mutant_of_the_scripts_is_told_from_the_model() {
    let next = AtomicUsize::new(0);
    let survivors = thread::scope(|scope| {
        let worker = || {
            let mut survivors = Vec::new();
            while let Some(mutant) = MUTANTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                if !is_caught(mutant) {
                    survivors.push(mutant.name);
                }
            }
            survivors
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("a worker"))
            .collect::<Vec<_>>()
    });
    assert!(survivors.is_empty(), "{survivors:?}");
}
