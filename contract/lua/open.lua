-- KEYS  ready
-- ARGV  marker: P five digits, catalogue revision and opening time sixteen each, run id
local old,new=redis.call('GET',KEYS[1]),ARGV[1]
if old then
  if string.sub(old,7,22)>=string.sub(new,7,22) then return 0 end
  -- Open already: only the catalogue moves.
  new=string.sub(old,1,6)..string.sub(new,7,22)..string.sub(old,23)
end
redis.call('SET',KEYS[1],new)
return 1
