-- The state of one scope: a header, and in a second string the rate segments that are closed.
--
-- A rate segment is the admissions of at most SEGMENT ms; it leaves the window as a whole, RATE_WINDOW after the latest moment at which
-- one of them can have reached the upstream. Segments are numbered without gap and leave in order; the newest, open one is in the header
-- with the totals of all, so the second string is touched only where a segment closes or leaves.
--
--   seen    latest time the scope has seen: its clock never goes back     n     requests in flight
--   spent   in the budget window that began at start                      held  reserved, not yet spent
--   start, next, window   begin and end of that window, and the definition that gave them: '' where no admission told it since Redis
--                         lost the scope, 'L' none, 'F<anchor>,<every>', 'C<boundary>,<boundary>…'; next is 0 where there is none
--   r, t    requests and tokens in the rate window, all segments
--   or_, ot, opened, leaves   the open segment: its counts, when it began, when it leaves; leaves is 0 where none is open
--   number  of the open segment, or of the next to be opened
--   first   number of the oldest closed segment still in the window; first==number: there is none
--   base    number of the segment at the beginning of the second string
--   loaded  closed segments below this number were restored from the ledger
--   first_leaves, last_leaves   when the oldest and the newest closed segment leave
local HEAD='>I6I4I8I8I6I6I4I8I4I8I6I6I4I4I4I4I6I6'
local HEAD_SIZE=102
local ENTRY='>I6I4I8'
local ENTRY_SIZE=18
-- Room below for the segments that a restore puts before those of live requests.
local FIRST_NUMBER=65536
-- Keys outlive what they hold by this much, ms: a clock that is set back must not find them gone.
local MARGIN=60000
-- Entries of segments that left, kept in front of the second string before it is rewritten.
local COMPACT=16

local function read(v)
  if not v then
    return {seen=0,n=0,spent=0,held=0,start=0,next=0,r=0,t=0,or_=0,ot=0,opened=0,leaves=0,number=FIRST_NUMBER,first=FIRST_NUMBER,
      base=FIRST_NUMBER,loaded=0,first_leaves=0,last_leaves=0,window=''}
  end
  local seen,n,spent,held,start,next,r,t,or_,ot,opened,leaves,number,first,base,loaded,first_leaves,last_leaves=struct.unpack(HEAD,v)
  return {seen=seen,n=n,spent=spent,held=held,start=start,next=next,r=r,t=t,or_=or_,ot=ot,opened=opened,leaves=leaves,number=number,
    first=first,base=base,loaded=loaded,first_leaves=first_leaves,last_leaves=last_leaves,window=string.sub(v,HEAD_SIZE+1)}
end

local function head(s)
  return struct.pack(HEAD,s.seen,s.n,s.spent,s.held,s.start,s.next,s.r,s.t,s.or_,s.ot,s.opened,s.leaves,s.number,s.first,s.base,s.loaded,
    s.first_leaves,s.last_leaves)..s.window
end

-- Closed segments from the oldest in the window: number, when it leaves, requests, tokens. Read in pieces: most walks end early.
local function closed(s,key)
  local number,piece,at,count=s.first-1,'',1,4
  return function()
    number=number+1
    if number>=s.number then return nil end
    if at>#piece then
      local from=(number-s.base)*ENTRY_SIZE
      piece=redis.call('GETRANGE',key,F(from),F(from+count*ENTRY_SIZE-1))
      at=1
      if count<64 then count=count*2 end
    end
    if at+ENTRY_SIZE-1>#piece then return number,s.last_leaves,0,0 end
    local leaves,r,t=struct.unpack(ENTRY,piece,at)
    at=at+ENTRY_SIZE
    return number,leaves,r,t
  end
end

-- Drops what left the window as far as the header alone tells.
local function expire_whole(s,now)
  if s.leaves>0 and s.leaves<=now then
    s.r=0 s.t=0 s.or_=0 s.ot=0 s.opened=0 s.leaves=0
    s.number=s.number+1 s.first=s.number
  elseif s.first<s.number and s.last_leaves<=now then
    s.r=s.or_ s.t=s.ot s.first=s.number
  end
end

-- Drops every segment that left the window.
local function expire(s,now,key)
  expire_whole(s,now)
  if s.first==s.number or s.first_leaves>now then return end
  local torn,found=false,false
  for number,leaves,r,t in closed(s,key) do
    if leaves>now then s.first=number s.first_leaves=leaves found=true break end
    if leaves==0 then torn=true end
    s.r=s.r-r s.t=s.t-t
  end
  if not found then s.first=s.number torn=true end
  if torn then
    -- Entries are missing: their key expired and the clock went back. What is still there counts.
    s.r=s.or_ s.t=s.ot
    for _,_,r,t in closed(s,key) do s.r=s.r+r s.t=s.t+t end
  end
end

-- Moves the open segment into the second string.
local function close(s,key)
  local entry=struct.pack(ENTRY,s.leaves,s.or_,s.ot)
  local gone=F(s.leaves+MARGIN)
  if s.first==s.number then
    s.base=s.number s.first_leaves=s.leaves
    redis.call('SET',key,entry,'PXAT',gone)
  elseif s.first-s.base>=COMPACT and (s.first-s.base)*2>=s.number-s.first then
    -- With room for what comes until the next time: Redis doubles a string that grows.
    local count=s.number-s.first
    local from,size=(s.first-s.base)*ENTRY_SIZE,count*ENTRY_SIZE
    local live=redis.call('GETRANGE',key,F(from),F(from+size-1))
    local room=string.rep('\0',math.floor(count/2)*ENTRY_SIZE)
    redis.call('SET',key,live..string.rep('\0',size-#live)..entry..room,'PXAT',gone)
    s.base=s.first
  else
    redis.call('SETRANGE',key,F((s.number-s.base)*ENTRY_SIZE),entry)
    redis.call('PEXPIREAT',key,gone)
  end
  s.last_leaves=s.leaves
  s.number=s.number+1 s.or_=0 s.ot=0 s.opened=0 s.leaves=0
end

-- Counts one request of `tokens` that is in the window until `leaves`; the number of its segment. What left must be dropped before.
local function count(s,now,leaves,tokens,key)
  if s.leaves>0 and now-s.opened>=SEGMENT then close(s,key) end
  if s.leaves==0 then
    s.opened=now
    if s.first<s.number then s.leaves=s.last_leaves end
  end
  if leaves>s.leaves then s.leaves=leaves end
  s.or_=s.or_+1 s.ot=s.ot+tokens
  s.r=s.r+1 s.t=s.t+tokens
  return s.number
end

-- Corrects what segment `number` counts; nothing where it left. Edits of closed segments wait for `store`.
local function correct(s,number,requests,tokens)
  if requests==0 and tokens==0 then return end
  if number==s.number and s.leaves>0 then
    s.or_=s.or_+requests s.ot=s.ot+tokens
  elseif number>=s.first and number>=s.loaded and number<s.number then
    local e=s.edits
    if not e then e={} s.edits=e end
    local bit=(number-s.base)*ENTRY_SIZE*8
    local k=#e
    if requests~=0 then
      e[k+1]='INCRBY' e[k+2]='u32' e[k+3]=F(bit+48) e[k+4]=F(requests)
      k=k+4
    end
    e[k+1]='INCRBY' e[k+2]='i64' e[k+3]=F(bit+80) e[k+4]=F(tokens)
  else
    return
  end
  s.r=s.r+requests s.t=s.t+tokens
end

-- Begin of the budget window that `now` is in, 0 before the first boundary, and the next boundary, 0 where there is none.
local function window(definition,now)
  local kind=string.sub(definition,1,1)
  if kind=='F' then
    local anchor,every=string.match(definition,'^F(%d+),(%d+)$')
    anchor=tonumber(anchor) every=tonumber(every)
    if now<anchor then return 0,anchor end
    local start=now-(now-anchor)%every
    return start,start+every
  elseif kind=='C' then
    local start=0
    for boundary in string.gmatch(definition,'%d+') do
      boundary=tonumber(boundary)
      if boundary>now then return start,boundary end
      start=boundary
    end
    return start,0
  end
  return 0,0
end

local function enter(s,definition,now)
  local start,next=window(definition,now)
  if start>s.start then s.spent=0 s.start=start end
  s.next=next s.window=definition
end

-- Starts a new budget window where a boundary has passed: by the definition that was in force until now, then by the one given. Held
-- money stays: it is spent in the window it is settled in.
local function roll(s,definition,now)
  if s.next>0 and now>=s.next then enter(s,s.window,now) end
  if definition~=s.window then enter(s,definition,now) end
end

local function spend(s,amount)
  s.spent=math.max(0,math.min(s.spent+amount,MAX_MONEY))
end

-- Frees a slot and the money held with it.
local function free(s,amount)
  s.n=math.max(0,s.n-1)
  s.held=math.max(0,s.held-amount)
end

-- Writes the scope. One that holds nothing expires once losing it is harmless: nothing spent, or the budget window over.
local function store(s,key,segments,now)
  s.seen=now
  local gone
  if s.n==0 then
    gone=s.spent==0 and now or s.next
    if gone>0 then gone=math.max(gone,now,s.leaves,s.last_leaves)+MARGIN end
  end
  if gone and gone>0 then redis.call('SET',key,head(s),'PXAT',F(gone)) else redis.call('SET',key,head(s)) end
  if s.edits then redis.call('BITFIELD',segments,unpack(s.edits)) end
end
