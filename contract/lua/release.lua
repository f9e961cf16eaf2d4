-- KEYS  deadlines, n reservations
-- ARGV  n ids
local got={}
if #ARGV>0 then got=redis.call('MGET',unpack(KEYS,2)) end
local live,seen={},{}
for i,id in ipairs(ARGV) do
  if is_live(got[i]) and not seen[id] then
    live[i]=unpack_live(got[i])
    for _,name in ipairs(live[i].names) do scope(name) end
  end
  seen[id]=true
end
local now=latest(clock())
local freed=0
for _,held in pairs(live) do
  freed=freed+1
  for k,name in ipairs(held.names) do
    local s=scope(name)
    s.changed=true
    expire_whole(s,now)
    free(s,held.cost)
    if held.segments[k]>0 then correct(s,held.segments[k],-1,-held.tokens) end
  end
end
if #ARGV>0 then
  -- First, because out of memory refuses the first write alone, and never this one.
  redis.call('ZREM',KEYS[1],unpack(ARGV))
  store_scopes(now)
  for i in ipairs(ARGV) do
    if not got[i] or string.sub(got[i],1,1)~='W' then redis.call('SET',KEYS[1+i],'R','PXAT',F(now+RELEASED)) end
  end
end
return {'ok',now,freed}
