-- KEYS  reservation, ready, R records, S scopes, S segments, deadlines, beat, watermarks
-- ARGV  id, worker, P, catalogue, not after, travel, tokens, cost, body, R, S, R revisions, per scope: rpm, tpm, parallel, budget, window
local R,S=tonumber(ARGV[10]),tonumber(ARGV[11])
local DEADLINES,BEATS,WATERMARKS=KEYS[3+R+2*S],KEYS[4+R+2*S],KEYS[5+R+2*S]
local got=redis.call('MGET',unpack(KEYS,1,2+R+S))
local at=clock()

-- The id comes first: a repeat must hear what its first try did, whatever has changed since.
if got[1] then
  if not is_live(got[1]) then return {'released'} end
  local admitted=struct.unpack('>I6',got[1],2)
  return {'again',admitted,tonumber(redis.call('HGET',WATERMARKS,ARGV[2])) or 0}
end

local now=at
local scopes={}
for i=1,S do
  local s=read(got[2+R+i])
  if s.seen>now then now=s.seen end
  scopes[i]=s
end
local not_after=tonumber(ARGV[5])
if not_after>0 and now>not_after then return {'late',now} end

-- A record that is not there has revision 0, which no record has.
local ABSENT='0000000000000000'
local ready=got[2]
if not ready or string.sub(ready,1,5)~=ARGV[3] then return {'not_ready'} end
local stale=string.sub(ready,7,22)~=ARGV[4]
for i=1,R do
  if string.sub(got[2+i] or ABSENT,1,16)~=ARGV[11+i] then stale=true end
end
if stale then
  local out={'stale',now,ready}
  for i=1,R do out[3+i]=got[2+i] end
  return out
end

local tokens,cost=tonumber(ARGV[7]),tonumber(ARGV[8])
local full=tonumber(string.sub(ready,24,39))
local limits={}
for i=1,S do
  local a=11+R+(i-1)*5
  local l={tonumber(ARGV[a+1]),tonumber(ARGV[a+2]),tonumber(ARGV[a+3]),tonumber(ARGV[a+4])}
  if now<full and (l[3]>=0 or l[4]>=0) then return {'not_ready'} end
  limits[i]=l
end

-- Time until enough of one count (3 requests, 4 tokens) has left the window; -1 where it never does.
local function frees(s,key,which,excess,possible)
  if not possible then return -1 end
  for _,leaves,r,t in closed(s,key) do
    excess=excess-(which==3 and r or t)
    if excess<=0 then return leaves-now end
  end
  return s.leaves-now
end

local function denied(i,kind,limit,used,retry,list)
  local out={'denied',now,i-1,kind,limit,used,retry}
  if list and (tonumber(redis.call('GET',BEATS)) or 0)>=at-BEAT then
    for k,id in ipairs(redis.call('ZRANGEBYSCORE',DEADLINES,'-inf',F(at),'LIMIT','0','8')) do out[7+k]=id end
  end
  return out
end

local reply={'ok',now,0}
for i=1,S do
  local s,l=scopes[i],limits[i]
  local rpm,tpm,parallel,budget=l[1],l[2],l[3],l[4]
  local k=#reply
  reply[k+1]=-1 reply[k+2]=-1 reply[k+3]=-1 reply[k+4]=-1
  if rpm>=0 or tpm>=0 then
    local key=KEYS[2+R+S+i]
    expire(s,now,key)
    if rpm>=0 then
      if s.r+1>rpm then return denied(i,'rpm',rpm,s.r,frees(s,key,3,s.r+1-rpm,rpm>0)) end
      reply[k+1]=rpm-s.r-1
    end
    if tpm>=0 then
      if s.t+tokens>tpm then return denied(i,'tpm',tpm,s.t,frees(s,key,4,s.t+tokens-tpm,tokens<=tpm)) end
      reply[k+2]=tpm-s.t-tokens
    end
  end
  if parallel>=0 then
    if s.n+1>parallel then return denied(i,'parallel',parallel,s.n,-1,true) end
    reply[k+3]=parallel-s.n-1
  end
  roll(s,ARGV[11+R+i*5],now)
  if budget>=0 then
    local used=s.spent+s.held
    if used+cost>budget then
      return denied(i,'budget',budget,used,s.next>0 and s.held+cost<=budget and s.next-now or -1,true)
    end
    reply[k+4]=budget-used-cost
  end
end

reply[3]=tonumber(redis.call('HGET',WATERMARKS,ARGV[2])) or 0
local out,segments,names={},{},{}
local leaves=now+RATE_WINDOW+tonumber(ARGV[6])
for i=1,S do
  local s,key=scopes[i],KEYS[2+R+i]
  s.seen=now s.n=s.n+1 s.held=s.held+cost
  names[i]=string.sub(key,#PREFIX+4)
  segments[i]=0
  if limits[i][1]>=0 or limits[i][2]>=0 then segments[i]=count(s,now,leaves,tokens,KEYS[2+R+S+i]) end
  out[2*i-1]=key out[2*i]=head(s)
end
out[2*S+1]=KEYS[1]
out[2*S+2]=pack_live('A',now,tokens,cost,segments,names,ARGV[9])
redis.call('MSET',unpack(out))
redis.call('ZADD',DEADLINES,F(now+LEASE),ARGV[1])
return reply
