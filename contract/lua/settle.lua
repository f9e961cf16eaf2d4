-- KEYS  ready, n reservations, m scopes, m segments, deadlines, spend, watermarks
-- ARGV  P, worker, first sequence, n, m, m windows, per item: id, admitted, tokens, cost, numbers of its scopes, body
local n,m=tonumber(ARGV[4]),tonumber(ARGV[5])
local DEADLINES,SPEND,WATERMARKS=KEYS[2+n+2*m],KEYS[3+n+2*m],KEYS[4+n+2*m]
local got=redis.call('MGET',unpack(KEYS,1,1+n+m))
if not got[1] or string.sub(got[1],1,5)~=ARGV[1] then return {'not_ready'} end

local windows,names={},{}
for i=1,m do
  local name=string.sub(KEYS[1+n+i],#PREFIX+4)
  names[i]=name
  book[name]=read(got[1+n+i])
  windows[name]=ARGV[5+i]
end
local now=latest(clock())
local first=tonumber(ARGV[3])
local settled=tonumber(redis.call('HGET',WATERMARKS,ARGV[2])) or 0
-- A gap: what is missing must come first.
if first>settled+1 then return {'ok',now,settled} end

-- A scope that is about to change, with its clock and windows moved to now.
local function touch(name)
  local s=scope(name)
  if not s.changed then
    s.changed=true
    roll(s,s.window=='' and windows[name] or s.window,now)
    expire_whole(s,now)
  end
  return s
end

local seen,events,ended,drop={},{},{},{}
for i=1,n do
  local a=5+m+(i-1)*6
  local id,tokens,cost=ARGV[a+1],tonumber(ARGV[a+3]),tonumber(ARGV[a+4])
  local sequence=first+i-1
  if sequence>settled and not seen[id] then
    local v=got[1+i]
    if is_live(v) then
      local held=unpack_live(v)
      for k,name in ipairs(held.names) do
        local s=touch(name)
        free(s,held.cost)
        spend(s,cost)
        if held.segments[k]>0 then correct(s,held.segments[k],0,tokens-held.tokens) end
      end
      ended[#ended+1]=id drop[#drop+1]=KEYS[1+i]
    elseif v and string.sub(v,1,1)=='W' then
      -- Charged as reserved by a sweep: only the difference, and only where that charge still counts.
      local swept=unpack_swept(v)
      for k,name in ipairs(swept.names) do
        local s=touch(name)
        if s.start==swept.starts[k] then spend(s,cost-swept.cost) end
      end
      drop[#drop+1]=KEYS[1+i]
    else
      -- Redis lost the reservation: the money was spent all the same.
      for number in string.gmatch(ARGV[a+5],'%d+') do spend(touch(names[tonumber(number)]),cost) end
    end
    events[#events+1]={'i',id,'v','1','w',ARGV[2],'q',F(sequence),'c',ARGV[a+4],'a',ARGV[a+2],'b',ARGV[a+6]}
  end
  seen[id]=true
end

local last=first+n-1
if last<=settled then return {'ok',now,settled} end
-- Out of memory refuses the first write alone, and Lua undoes nothing: the event goes first.
for _,event in ipairs(events) do redis.call('XADD',SPEND,'*',unpack(event)) end
redis.call('HSET',WATERMARKS,ARGV[2],F(last))
store_scopes(now)
if #ended>0 then redis.call('ZREM',DEADLINES,unpack(ended)) end
if #drop>0 then redis.call('DEL',unpack(drop)) end
return {'ok',now,last}
