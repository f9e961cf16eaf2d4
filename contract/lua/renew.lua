-- KEYS  deadlines, beat, watermarks, n reservations, m scopes, m segments
-- ARGV  worker, last sequence, n, m, per scope 1 where it has a rate limit, per item: id, admitted, tokens, cost, numbers of its scopes,
--       body
local n,m=tonumber(ARGV[3]),tonumber(ARGV[4])
local got={}
if n>0 then got=redis.call('MGET',unpack(KEYS,4,3+n)) end
local at=clock()
local settled=tonumber(redis.call('HGET',KEYS[3],ARGV[1])) or 0

local rated,names={},{}
for i=1,m do
  names[i]=string.sub(KEYS[3+n+i],#PREFIX+4)
  rated[i]=ARGV[4+i]=='1'
end

local out={'ok',at,settled}
local deadlines,fresh,sent,seen={},{},{},{}
for i=1,n do
  local a=4+m+(i-1)*6
  local id,v=ARGV[a+1],got[i]
  if is_live(v) then
    if string.byte(v)==65 then sent[#sent+1]=KEYS[3+i] end
    deadlines[#deadlines+1]=F(at+LEASE) deadlines[#deadlines+1]=id
  elseif v then
    out[#out+1]=id
  elseif settled<=tonumber(ARGV[2]) and not seen[id] then
    local item={a=a,key=KEYS[3+i],numbers={}}
    for number in string.gmatch(ARGV[a+5],'%d+') do
      number=tonumber(number)
      item.numbers[#item.numbers+1]=number
      scope(names[number])
    end
    fresh[#fresh+1]=item
    deadlines[#deadlines+1]=F(at+LEASE) deadlines[#deadlines+1]=id
  end
  seen[id]=true
end

-- Redis lost these, but they run: they hold their slot, money and place in the rate window again, over a limit if need be.
local now=latest(at)
for _,item in ipairs(fresh) do
  local a=item.a
  local admitted,tokens,cost=tonumber(ARGV[a+2]),tonumber(ARGV[a+3]),tonumber(ARGV[a+4])
  local segments,held={},{}
  for k,number in ipairs(item.numbers) do
    local name=names[number]
    local s=scope(name)
    s.changed=true
    held[k]=name segments[k]=0
    s.n=s.n+1 s.held=s.held+cost
    if rated[number] and admitted+RATE_WINDOW+MAX_TRAVEL>now then
      local key=PREFIX..'sg:'..name
      expire(s,now,key)
      segments[k]=count(s,now,now+RATE_WINDOW,tokens,key)
    end
  end
  redis.call('SET',item.key,pack_live('S',admitted,tokens,cost,segments,held,ARGV[a+6]))
end
store_scopes(now)
for _,key in ipairs(sent) do redis.call('SETRANGE',key,'0','S') end
if #deadlines>0 then redis.call('ZADD',KEYS[1],unpack(deadlines)) end
redis.call('SET',KEYS[2],F(at))
return out
