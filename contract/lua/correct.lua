-- KEYS  ready, watermarks, scope, segments
-- ARGV  name in the watermarks, sequence, begin of the budget window, amount
if redis.call('EXISTS',KEYS[1])==0 then return {'not_ready'} end
local sequence=tonumber(ARGV[2])
local done=tonumber(redis.call('HGET',KEYS[2],ARGV[1])) or 0
if sequence<=done then return {'ok',done} end
-- A gap: what is missing must come first.
if sequence>done+1 then return {'gap',done} end
-- First, because out of memory refuses the first write alone.
redis.call('HSET',KEYS[2],ARGV[1],F(sequence))
local v=redis.call('GET',KEYS[3])
if v then
  local s=read(v)
  local now=math.max(clock(),s.seen)
  roll(s,s.window,now)
  -- What was spent in another window is none of this correction's.
  if s.start==tonumber(ARGV[3]) then
    expire_whole(s,now)
    spend(s,-tonumber(ARGV[4]))
    store(s,KEYS[3],KEYS[4],now)
  end
end
return {'ok',sequence}
