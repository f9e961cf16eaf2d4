-- KEYS  ready, watermarks, m scopes, m segments
-- ARGV  m, per scope: spent, begin of the budget window, closed rate segments; then worker, sequence …
if redis.call('EXISTS',KEYS[1])==1 then return {'open'} end
local m=tonumber(ARGV[1])
local at=clock()
for i=1,m do
  local key,segments=KEYS[2+i],KEYS[2+m+i]
  local s=read(redis.call('GET',key))
  local now=math.max(at,s.seen)
  expire(s,now,segments)
  local packed=ARGV[1+3*i]
  -- What renewals put there stays, behind what the ledger knows; what an earlier load put there goes.
  local entries,latest={},0
  local r,t=s.or_,s.ot
  local function add(leaves,requests,tokens)
    latest=math.max(latest,leaves)
    entries[#entries+1]=struct.pack(ENTRY,latest,requests,tokens)
    r=r+requests t=t+tokens
  end
  for p=1,#packed,ENTRY_SIZE do
    local leaves,requests,tokens=struct.unpack(ENTRY,packed,p)
    if leaves>now then add(leaves,requests,tokens) end
  end
  local restored=#entries
  local keep=math.max(s.first,s.loaded)
  for number,leaves,requests,tokens in closed(s,segments) do
    if number>=keep then add(leaves,requests,tokens) end
  end
  s.loaded=keep s.first=keep-restored s.base=s.first
  s.r=r s.t=t
  if #entries>0 then
    s.first_leaves=struct.unpack('>I6',entries[1])
    s.last_leaves=latest
    if s.leaves>0 then s.leaves=math.max(s.leaves,latest) end
    redis.call('SET',segments,table.concat(entries),'PXAT',F(latest+MARGIN))
  end
  s.spent=tonumber(ARGV[3*i-1]) s.start=tonumber(ARGV[3*i]) s.next=0 s.window=''
  s.seen=now
  redis.call('SET',key,head(s))
end
for i=2+3*m,#ARGV,2 do redis.call('HSET',KEYS[2],ARGV[i],ARGV[i+1]) end
return {'ok'}
