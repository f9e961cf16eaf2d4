-- KEYS  ready, deadlines, spend, beat, n reservations
-- ARGV  n ids; none: whatever has expired
local at=clock()
if redis.call('EXISTS',KEYS[1])==0 then return {'not_ready'} end
-- Without a recent renewal nobody could have renewed: a deadline then proves nothing.
if (tonumber(redis.call('GET',KEYS[4])) or 0)<at-BEAT then return {'ok',at,0} end

local ids={}
if #ARGV==0 then
  ids=redis.call('ZRANGEBYSCORE',KEYS[2],'-inf',F(at),'LIMIT','0','64')
else
  local seen={}
  for i,score in ipairs(redis.call('ZMSCORE',KEYS[2],unpack(ARGV))) do
    local id=ARGV[i]
    if score and tonumber(score)<=at and not seen[id] then ids[#ids+1]=id end
    seen[id]=true
  end
end
if #ids==0 then return {'ok',at,0} end

local keys={}
for i,id in ipairs(ids) do keys[i]=PREFIX..'res:'..id end
local got=redis.call('MGET',unpack(keys))
local live={}
for i in ipairs(ids) do
  if is_live(got[i]) then
    live[i]=unpack_live(got[i])
    for _,name in ipairs(live[i].names) do scope(name) end
  end
end
local now=latest(at)

local charged,released,events,markers,drop={},{},{},{},{}
for i,id in ipairs(ids) do
  local held=live[i]
  if held then
    local sent=string.byte(got[i])==83
    local starts={}
    for k,name in ipairs(held.names) do
      local s=scope(name)
      if not s.changed then
        s.changed=true
        roll(s,s.window,now)
        expire_whole(s,now)
      end
      free(s,held.cost)
      if sent then spend(s,held.cost) end
      starts[k]=s.start
    end
    if sent then
      charged[#charged+1]=id
      events[#events+1]={'i',id,'v','0','w','','q','0','c',F(held.cost),'a',F(held.admitted),'b',held.body}
      markers[#markers+1]={keys[i],pack_swept(held.cost,starts,held.names)}
    else
      released[#released+1]=id
      drop[#drop+1]=keys[i]
    end
  end
end

-- Out of memory refuses the first write alone, and Lua undoes nothing: the event goes first.
for _,event in ipairs(events) do redis.call('XADD',KEYS[3],'*',unpack(event)) end
redis.call('ZREM',KEYS[2],unpack(ids))
store_scopes(now)
for _,marker in ipairs(markers) do redis.call('SET',marker[1],marker[2],'PXAT',F(now+SWEPT)) end
if #drop>0 then redis.call('DEL',unpack(drop)) end
local out={'ok',now,#charged}
for _,id in ipairs(charged) do out[#out+1]=id end
for _,id in ipairs(released) do out[#out+1]=id end
return out
